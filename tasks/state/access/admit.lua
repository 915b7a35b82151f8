-- admit(args: id, per_minute, touch_ms): take one of a key's requests from its bucket, which holds a minute's worth; now and then note the use. Returns the key's record, too
local record = key('apikey', args.id)
local per_ms = args.per_minute / 60000
local bucket = key('rate', args.id)
local facts = redis.call('HMGET', bucket, 'left', 'at_ms')
local left = math.min(args.per_minute, tonumber(facts[1] or args.per_minute) + (now - tonumber(facts[2] or now)) * per_ms)
if left < 1 then return {'refused', int(math.ceil((1 - left) / per_ms)), redis.call('HGETALL', record)} end
redis.call('HSET', bucket, 'left', tostring(left - 1), 'at_ms', int(now))
redis.call('PEXPIRE', bucket, 120000)
if now - tonumber(redis.call('HGET', record, 'last_used_ms') or 0) >= args.touch_ms and redis.call('EXISTS', record) == 1 then
  redis.call('HSET', record, 'last_used_ms', int(now))
end
return {'ok', int(left - 1), redis.call('HGETALL', record)}
