-- heartbeat(args: worker, ttl_ms, capacity, about?): this worker is alive for another `ttl_ms`, with threads for `capacity` attempts
local silent = redis.call('ZRANGEBYSCORE', key('workers'), '-inf', int(now - 24 * 3600 * 1000), 'LIMIT', 0, 20)
for _, name in ipairs(silent) do
  redis.call('ZREM', key('workers'), name)
  redis.call('HDEL', key('workers', 'about'), name)
end
redis.call('ZADD', key('workers'), int(now + args.ttl_ms), args.worker)
if args.about then redis.call('HSET', key('workers', 'about'), args.worker, args.about) end
redis.call('HSET', key('capacities'), args.worker, args.capacity)
local told, total = redis.call('HGETALL', key('capacities')), 0
for i = 1, #told, 2 do
  local until_ms = tonumber(redis.call('ZSCORE', key('workers'), told[i]) or 0)
  if until_ms > now then total = total + tonumber(told[i + 1])
  elseif until_ms == 0 then redis.call('HDEL', key('capacities'), told[i]) end
end
redis.call('SET', key('capacity'), total)
return {'ok', int(now)}
