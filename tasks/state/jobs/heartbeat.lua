-- heartbeat(args: worker, ttl_ms, capacity, about?, stalled, seen, chain, entry): this worker is alive for another `ttl_ms`, with threads for `capacity` attempts; tells the newest audit entry's moment and the jobs that were taken from it while it lived, or that the ledger is older than what this worker has seen
-- with jobs/silence
-- with look_first/server
settling()
local head = redis.call('HGET', key('audit', 'heads'), args.chain)
local fewer = tonumber(head and string.match(head, '^%d+') or 0) < args.entry
if lost(args.seen) or (fewer and (head or redis.call('EXISTS', key('audit', 'base')) == 0)) then return {'older'} end
redis.call('HSET', key('ledger'), 'ttl_ms', int(args.ttl_ms))
redis.call('SREM', key('ledger', 'unheard'), args.worker)
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
return {'ok', int(now), int(newest_ms()), redis.call('HKEYS', taken)}
