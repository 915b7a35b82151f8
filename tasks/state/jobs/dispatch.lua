-- dispatch(args: resend_ms, batch, kinds?): the jobs whose time has come and for which destination and workers have room, in turns
-- with traffic/decisions
-- with look_first/server
if settling() then return {} end
local lanes, wanted = {}, {}
for _, kind in ipairs(args.kinds or {}) do wanted[kind] = true end
local function ours(due)
  local first = args.kinds and redis.call('ZRANGE', due, 0, 0)[1]
  return not first or wanted[get(first, 'kind') or '']
end
local all = threads(true)
for _, destination in ipairs(redis.call('SMEMBERS', key('waiting'))) do
  local due, flying = key('due', destination), key('sent', destination)
  local gate = gate_of(destination)
  if redis.call('ZCARD', due) == 0 then
    redis.call('SREM', key('waiting'), destination)
  elseif gate.state == 'ready' and ours(due) then
    redis.call('ZREMRANGEBYSCORE', flying, '-inf', int(now))
    local half_open = gate.breaker.until_ms > 0
    if not half_open then pull_forward(destination, args.batch * 2) end
    local lane = all.lanes[destination] or all.lane(destination, gate.concurrency, gate.state)
    local free = room(destination, gate, redis.call('ZCARD', key('running', destination)), redis.call('ZCARD', flying))
    -- the job that tries whether the destination answers again is the first one, due or not
    local first, due_ms = nil, now
    if half_open and free > 0 then first, due_ms = in_turn(destination, 'ZRANGE') end
    if first and due_ms > now then wait_until(first, now) end
    lane.wants = free > 0 and math.min(free, redis.call('ZCOUNT', due, '-inf', int(now))) or 0
    lane.gets = 0
    if lane.wants > 0 then lanes[#lanes + 1] = lane end
  end
end

-- one each in turn, beginning somewhere else each time: a long backlog doesn't eat the batch of a short one
local left, moved = args.batch, true
while left > 0 and moved do
  moved = false
  for turn = 1, #lanes do
    local lane = lanes[(turn + now) % #lanes + 1]
    if left > 0 and lane.gets < lane.wants and may_take(lane, all) then
      take(lane, all)
      lane.gets, left, moved = lane.gets + 1, left - 1, true
    end
  end
end

local sent = {}
for _, lane in ipairs(lanes) do
  local due, flying = key('due', lane.name), key('sent', lane.name)
  if lane.gets > 0 then
    local places = {}
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', int(now), 'LIMIT', 0, lane.gets)) do
      local sends = redis.call('HINCRBY', job_key(id), 'sends', 1)
      places[#places + 1], places[#places + 2] = int(now + args.resend_ms * math.min(2 ^ (sends - 1), 4)), id
      sent[#sent + 1] = id
    end
    if #places > 0 then
      redis.call('ZADD', due, unpack(places))
      redis.call('ZADD', flying, unpack(places))
    end
  end
end
return sent
