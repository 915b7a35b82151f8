-- trim_audit(args: keep_from, before, base, kept, gone: {chain, head}[]): drop the entries before the id `keep_from`, all of them exported, and say up to where each chain went
local base = redis.call('GET', key('audit', 'base'))
if (base and cjson.decode(base).mac or '') ~= args.before then return {'refused', 'moved'} end
redis.call('SET', key('audit', 'base'), args.base)
redis.call('SET', key('audit', 'gone'), args.kept)
redis.call('XTRIM', key('audit'), 'MINID', args.keep_from)
for _, gone in ipairs(args.gone) do
  if redis.call('HGET', key('audit', 'heads'), gone.chain) == gone.head and gone.chain ~= entry.chain then
    redis.call('HDEL', key('audit', 'heads'), gone.chain)
  end
end
audit()
return {'ok'}
