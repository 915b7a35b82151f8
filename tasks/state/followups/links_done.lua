-- links_done(args: issue, score, again_ms?): this issue was seen to; a mark that came meanwhile stays
local pending = key('links', 'pending')
if redis.call('ZSCORE', pending, args.issue) ~= args.score then return {'moved'} end
if args.again_ms then redis.call('ZADD', pending, int(args.again_ms), args.issue)
else redis.call('ZREM', pending, args.issue) end
return {'ok'}
