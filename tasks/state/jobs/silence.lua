-- silence: whether Redis has heard workers for long enough to tell who is gone, for the scripts that say `-- with jobs/silence`
-- While Redis takes no writes nobody can say that he lives. So after a silence of all workers each has the time of a
-- heartbeat's life to be heard again, before anybody is taken for gone.
local SHORTEST_LIFE = 1000

local function heard(ttl_ms)
  local beats, life = key('beats'), math.max(tonumber(ttl_ms), SHORTEST_LIFE)
  local last = tonumber(redis.call('HGET', beats, 'last_ms') or now)
  if now - last > life / 2 then redis.call('HSET', beats, 'since_ms', int(now)) end
  redis.call('HSET', beats, 'last_ms', int(now), 'life_ms', int(life))
end

local function can_tell()
  local beats = redis.call('HMGET', key('beats'), 'last_ms', 'since_ms', 'life_ms')
  if not beats[1] then return true end
  local life = tonumber(beats[3])
  return now - tonumber(beats[1]) <= life / 2 and now - tonumber(beats[2] or 0) >= life
end
