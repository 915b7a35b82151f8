-- trim_audit(args: keep_from, base, gone: {chain, head}[]): drop the entries before the id `keep_from`, all of them exported, and say up to where each chain went
redis.call('SET', key('audit', 'base'), args.base)
redis.call('XTRIM', key('audit'), 'MINID', args.keep_from)
for _, gone in ipairs(args.gone) do
  if redis.call('HGET', key('audit', 'heads'), gone.chain) == gone.head and gone.chain ~= entry.chain then
    redis.call('HDEL', key('audit', 'heads'), gone.chain)
  end
end
audit()
return {'ok'}
