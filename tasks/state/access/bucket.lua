-- bucket(): an API key's requests. The bucket holds a minute's worth; now and then the use is noted
local function take(asked)
  local record, bucket, per_ms = key('apikey', asked.id), key('rate', asked.id), asked.per_minute / 60000
  local facts = redis.call('HMGET', bucket, 'left', 'at_ms')
  local left = math.min(asked.per_minute, tonumber(facts[1] or asked.per_minute) + (now - tonumber(facts[2] or now)) * per_ms)
  if left < 1 then return nil, int(math.ceil((1 - left) / per_ms)) end
  redis.call('HSET', bucket, 'left', tostring(left - 1), 'at_ms', int(now))
  redis.call('PEXPIRE', bucket, 120000)
  local read, used = pcall(redis.call, 'HGET', record, 'last_used_ms') -- a record of another type can't be read
  if read and now - tonumber(used or 0) >= asked.touch_ms and redis.call('EXISTS', record) == 1 then
    redis.call('HSET', record, 'last_used_ms', int(now))
  end
  return int(left - 1)
end
