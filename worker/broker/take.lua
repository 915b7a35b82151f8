-- take(KEYS: list, taken, taken_at; ARGV: most, now_s): pops messages and notes that they are taken, as kombu does in two steps; now_s is the broker's own time
-- An entry that is no message is left: the consumer's own way takes it, and sets it aside.
local taken = {}
while #taken < 2 * tonumber(ARGV[1]) do
  local entry = redis.call('LINDEX', KEYS[1], -1)
  local read, message = pcall(cjson.decode, entry or '')
  local properties = read and type(message) == 'table' and message.properties
  local info = type(properties) == 'table' and properties.delivery_info
  local tag = type(info) == 'table' and properties.delivery_tag
  if type(tag) ~= 'string' or type(info.exchange) ~= 'string' or type(info.routing_key) ~= 'string' then break end
  redis.call('RPOP', KEYS[1])
  redis.call('HSET', KEYS[2], tag, '[' .. entry .. ',' .. cjson.encode(info.exchange) .. ',' .. cjson.encode(info.routing_key) .. ']')
  redis.call('ZADD', KEYS[3], ARGV[2], tag)
  taken[#taken + 1], taken[#taken + 2] = tag, entry
end
return taken
