-- heartbeat(args: worker, ttl_ms, about?): this worker is alive for another `ttl_ms`; `about` is what it says of itself
local silent = redis.call('ZRANGEBYSCORE', key('workers'), '-inf', int(now - 24 * 3600 * 1000), 'LIMIT', 0, 20)
for _, name in ipairs(silent) do
  redis.call('ZREM', key('workers'), name)
  redis.call('HDEL', key('workers', 'about'), name)
end
redis.call('ZADD', key('workers'), int(now + args.ttl_ms), args.worker)
if args.about then redis.call('HSET', key('workers', 'about'), args.worker, args.about) end
return {'ok', int(now)}
