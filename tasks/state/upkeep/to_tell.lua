-- to_tell(args: batch, lease_ms): ends that nobody has told Celery of, for the caller to tell; others see them again after `lease_ms`
local telling = key('telling')
-- what a worker of an earlier version left to be told
for _, id in ipairs(redis.call('SPOP', key('told'), args.batch)) do redis.call('ZADD', telling, int(now), id) end
local ids = redis.call('ZRANGEBYSCORE', telling, '-inf', int(now), 'LIMIT', 0, args.batch)
for _, id in ipairs(ids) do redis.call('ZADD', telling, int(now + args.lease_ms), id) end
return ids
