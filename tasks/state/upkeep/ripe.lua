-- ripe(args: kind, before_ms, batch): what is old enough to be forgotten; what is still needed counts as used now
local ids = redis.call('ZRANGEBYSCORE', key(args.kind), '-inf', int(args.before_ms), 'LIMIT', 0, args.batch)
local found = {}
for _, id in ipairs(ids) do
  if redis.call('EXISTS', key('needs', id)) == 1 then redis.call('ZADD', key(args.kind), int(now), id)
  else found[#found + 1] = id end
end
return found
