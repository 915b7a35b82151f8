-- upcoming(args: within_ms): ms until the next moment at which a destination with waiting jobs lets one start, at most `within_ms`
-- with traffic/decisions
local next_ms = now + args.within_ms
for _, destination in ipairs(redis.call('SMEMBERS', key('waiting'))) do
  local gate = gate_of(destination)
  local first = redis.call('ZRANGE', key('due', destination), 0, 0, 'WITHSCORES')
  if gate.state == 'ready' and first[2] then
    local open = gate.breaker.until_ms == 0
    if open or not probing(destination, gate) then
      local from = math.max(open and tonumber(first[2]) or 0, gate.not_before, gate.breaker.until_ms)
      local at = math.max(from, (slot(gate, from)))
      if at > now then next_ms = math.min(next_ms, at) end
    end
  end
end
return math.max(1, math.ceil(next_ms - now))
