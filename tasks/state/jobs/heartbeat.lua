-- heartbeat(args: worker, ttl_ms, capacity, about?, stalled): this worker is alive for another `ttl_ms`, with threads for `capacity` attempts; returns the jobs that were taken from it while it lived
-- with jobs/silence
heard(args.ttl_ms)
local silent = redis.call('ZRANGEBYSCORE', key('workers'), '-inf', int(now - 24 * 3600 * 1000), 'LIMIT', 0, 20)
for _, name in ipairs(silent) do
  redis.call('ZREM', key('workers'), name)
  redis.call('HDEL', key('workers', 'about'), name)
end
-- what it runs could not go on while it could not be heard: that time is given back
local before = tonumber(redis.call('ZSCORE', key('workers'), args.worker) or '')
if before and before <= now then
  for _, id in ipairs(redis.call('SMEMBERS', key('worker', args.worker, 'jobs'))) do
    redis.call('ZADD', key('leases'), 'XX', 'INCR', int(now - before + args.ttl_ms), id)
  end
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
local taken = key('worker', args.worker, 'taken')
if args.stalled then redis.call('DEL', taken) end
return {'ok', int(now), redis.call('HKEYS', taken)}
