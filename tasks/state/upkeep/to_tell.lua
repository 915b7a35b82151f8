-- to_tell(args: batch, lease_ms, worker): ends that nobody has told Celery of, for this worker to tell; others see them again after `lease_ms`, or once it is gone
local telling = key('telling')
-- what a worker of an earlier version left to be told
for _, id in ipairs(redis.call('SPOP', key('told'), args.batch)) do redis.call('ZADD', telling, int(now), id) end
local ids, leased = redis.call('ZRANGEBYSCORE', telling, '-inf', int(now), 'LIMIT', 0, args.batch), {}
for _, id in ipairs(ids) do leased[#leased + 1], leased[#leased + 2] = int(now + args.lease_ms), id end
if #ids > 0 then
  redis.call('ZADD', telling, unpack(leased))
  redis.call('SADD', key('worker', args.worker, 'tells'), unpack(ids))
end
return ids
