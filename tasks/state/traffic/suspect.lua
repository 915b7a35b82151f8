-- suspect(args: name, revision, since_ms?, lease_ms): who tests a destination that refused a job; `since_ms` is when that was
-- Only a test that began after the refusal says anything about it: who waits for one shares it with all who wait.
-- with traffic/decisions
local record, traffic = key('destination', args.name), key('traffic', args.name)
local is = redis.call('HMGET', record, 'state', 'revision')
local since = args.since_ms or now
if (is[1] or 'ready') ~= 'ready' or tonumber(is[2]) ~= args.revision then return {'moved', int(since)} end
local test = redis.call('HMGET', traffic, 'test_passed_ms', 'test_until_ms')
if number(test[1], -1) >= since then return {'passed', int(since)} end
if number(test[2], 0) > now then return {'wait', int(since)} end
redis.call('HSET', traffic, 'test_began_ms', int(now), 'test_until_ms', int(now + args.lease_ms))
return {'test', int(since)}
