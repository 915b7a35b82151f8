-- statistics(): destination, state, number of jobs and submission time of the oldest, for each that has any
local found = {}
for _, destination in ipairs(redis.call('SMEMBERS', key('known'))) do
  if redis.call('ZCARD', key('jobs', destination)) == 0 then redis.call('SREM', key('known'), destination) end
  for _, state in ipairs({'queued', 'running', 'retrying', 'held', 'delivered', 'dead', 'cancelled', 'superseded'}) do
    local index = key('state', state, destination)
    local oldest = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')
    if oldest[1] then found[#found + 1] = {destination, state, redis.call('ZCARD', index), int(oldest[2])} end
  end
end
return found
