-- untold: ends whose worker is gone, for the scripts that say `-- with upkeep/untold`
local function untold_by(worker)
  local tells = key('worker', worker, 'tells')
  for _, id in ipairs(redis.call('SMEMBERS', tells)) do redis.call('ZADD', key('telling'), 'XX', int(now), id) end
  redis.call('DEL', tells)
end
