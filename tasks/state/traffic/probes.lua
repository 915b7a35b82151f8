-- probes(): suspended destinations whose connection test is due; each is offered to one caller, ever more rarely
-- with traffic/decisions
local found = {}
for _, name in ipairs(redis.call('SMEMBERS', key('destinations'))) do
  local is = redis.call('HMGET', key('destination', name), 'state', 'probe_ms')
  local traffic = key('traffic', name)
  if is[1] == 'suspended' and number(redis.call('HGET', traffic, 'next_probe_ms'), 0) <= now then
    local times = redis.call('HINCRBY', traffic, 'probes', 1)
    redis.call('HSET', traffic, 'next_probe_ms', int(now + probe_pause(number(is[2], 60000), times, redis.call('HGET', traffic, 'probe_soon') == '1')))
    found[#found + 1] = name
  end
end
return found
