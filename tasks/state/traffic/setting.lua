-- setting(name, which, default): a number among a destination's settings as they stand, for the scripts that say `-- with traffic/setting`
local function setting(name, which, default)
  local readable, settings = pcall(cjson.decode, redis.call('HGET', key('destination', name), 'settings') or '{}')
  return tonumber(readable and type(settings) == 'table' and settings[which] or default) or default
end
