-- decisions: what a destination lets through now, for the scripts that say `-- with traffic/decisions`; all times in ms, by Redis's clock
local LONGEST_COOLDOWN, LONGEST_PENALTY = 15000, 60000

local function number(value, default) return tonumber(value or default) or default end

-- pure: the pause before connection test number `times` + 1 of a suspended destination. What may mend by itself is tested
-- `soon`: from 2 s on, every 15 s at first; a refused credential is not worn out by tests.
local function probe_pause(base, times, soon)
  if soon and times < 40 then return math.min(base, 2000 * 2 ^ math.min(times, 20), 15000) end
  return math.max(base, math.min(base * 2 ^ math.min(times, 20), 900000))
end

-- pure: the moment from `from` on at which one more request fits, and the clock of the limiter after it (GCRA)
local function gcra(tat, from, interval, burst)
  local at = math.max(from, tat - (burst - 1) * interval)
  if at - from < 0.001 then at = from end -- no wait for a rounding error
  return at, math.max(tat, at) + interval
end

-- pure: the breaker after an attempt that shows the destination `up`, `busy`, `down`, `shut` (down, and it says so itself) or
-- nothing at all; a pause begins with the probe that failed, whose waiting for an answer is part of it
local function breaker_after(was, sign, job, at, limit, cooldown, since)
  local down = sign == 'down' or sign == 'shut'
  if sign == 'up' or sign == 'busy' then return {failures = 0, last = '', opens = 0, until_ms = 0, probe = ''} end
  if was.until_ms > 0 then
    if was.probe ~= job then return was end
    if not down then
      return {failures = was.failures, last = was.last, opens = was.opens, until_ms = was.until_ms, probe = ''}
    end
    local opens = math.min(was.opens + 1, 30)
    local rest = math.max(cooldown, math.min(cooldown * 2 ^ (opens - 1), LONGEST_COOLDOWN))
    return {failures = was.failures + 1, last = job, opens = opens, until_ms = math.max(at, (since or at) + rest), probe = ''}
  end
  if not down or (sign ~= 'shut' and was.last == job) then return was end
  local now_is = {failures = was.failures + 1, last = job, opens = 0, until_ms = 0, probe = ''}
  if limit > 0 and (sign == 'shut' or now_is.failures >= limit) then now_is.opens, now_is.until_ms = 1, at + cooldown end
  return now_is
end

-- pure: whether a destination may take one more of the workers' threads, and leave the others what is theirs
local function may_take(lane, all) return lane.used < lane.share or all.free > all.reserved end

local function take(lane, all)
  if lane.used < lane.share then all.reserved = all.reserved - 1 end
  lane.used, all.free = lane.used + 1, all.free - 1
end

local function gate_of(destination)
  local set = redis.call('HMGET', key('destination', destination), 'state', 'not_before_ms', 'concurrency', 'rate_per_s',
    'burst', 'breaker_failures', 'breaker_cooldown_ms')
  local is = redis.call('HMGET', key('traffic', destination), 'tat_ms', 'pace_ms', 'pace_until_ms', 'room', 'failures',
    'last', 'opens', 'until_ms', 'probe')
  local rate, paced = number(set[4], 0), number(is[3], 0) > now
  local gate = {
    state = set[1] or 'ready',
    not_before = number(set[2], 0),
    concurrency = math.max(1, math.min(number(set[3], 8), math.floor(number(is[4], 100000)))),
    interval = rate > 0 and 1000 / rate or 0,
    burst = number(set[5], 1),
    limit = number(set[6], 10),
    cooldown = number(set[7], 5000),
    breaker = {failures = number(is[5], 0), last = is[6] or '', opens = number(is[7], 0), until_ms = number(is[8], 0),
      probe = is[9] or ''},
  }
  if paced and number(is[2], 0) > gate.interval then gate.interval, gate.burst = number(is[2], 0), 1 end
  -- a clock that was set back must not hold the limiter in a future that it never granted
  gate.tat = math.min(number(is[1], 0), now + (gate.burst + 1) * gate.interval + 60000)
  return gate
end

-- when one more request may go from `from` on, with `ahead` others before it, and the limiter's clock after it
local function slot(gate, from, ahead)
  if gate.interval == 0 then return from, nil end
  return gcra(math.max(gate.tat, from) + (ahead or 0) * gate.interval, from, gate.interval, gate.burst)
end

local function spend(destination, tat)
  if tat then redis.call('HSET', key('traffic', destination), 'tat_ms', string.format('%.3f', tat)) end
end

-- jobs that were claimed and have not asked for their first request yet: the limiter keeps a place for each
local function starting(destination)
  redis.call('ZREMRANGEBYSCORE', key('starting', destination), '-inf', int(now))
  return redis.call('ZCARD', key('starting', destination))
end

-- a probe that has no answer for as long as a pause keeps the next one no longer
local function probing(destination, gate)
  local began = gate.breaker.probe ~= '' and redis.call('ZSCORE', key('running', destination), gate.breaker.probe)
  return began and tonumber(began) > now - math.max(gate.cooldown, LONGEST_COOLDOWN)
end

-- jobs that wait for longer because the destination failed: they go on, in the order in which they would have, once it answers
local function stalls(destination, id, due_ms) redis.call('ZADD', key('stalled', destination), int(due_ms), id) end

local function go_on(destination)
  local stalled, freed = key('stalled', destination), key('freed', destination)
  if redis.call('EXISTS', stalled) == 1 then
    redis.call('ZUNIONSTORE', freed, 2, freed, stalled)
    redis.call('DEL', stalled)
  end
end

local function pull_forward(destination, batch)
  local found = redis.call('ZPOPMIN', key('freed', destination), batch)
  for i = 1, #found, 2 do
    local id = found[i]
    local due = tonumber(redis.call('ZSCORE', key('due', destination), id) or '')
    if due and due > now and not redis.call('ZSCORE', key('sent', destination), id) then wait_until(id, now) end
  end
end

-- the first or the last job that waits for its turn, and when it is due; none that waits for a moment of its producer's choice
local function in_turn(destination, range)
  for place = 0, 900, 100 do
    local found = redis.call(range, key('due', destination), place, place + 99, 'WITHSCORES')
    for i = 1, #found, 2 do
      if tonumber(get(found[i], 'not_before_ms') or 0) <= now then return found[i], tonumber(found[i + 1]) end
    end
    if #found < 200 then return nil end
  end
end

-- how many more jobs a destination lets start now
local function room(destination, gate, running, flying)
  if gate.state ~= 'ready' or gate.not_before > now or gate.breaker.until_ms > now then return 0 end
  if gate.breaker.until_ms > 0 then return 1 - flying - (probing(destination, gate) and 1 or 0) end
  local free = gate.concurrency - running - flying
  if gate.interval > 0 then
    local spare = (now - gate.tat) / gate.interval + gate.burst
    free = math.min(free, math.floor(math.min(spare, gate.burst) + 0.000001) - flying - starting(destination))
  end
  return free
end

-- who holds the threads of all live workers, and what is kept free for those that are ready and hold less than their share
local function threads(sent)
  local capacity = number(redis.call('GET', key('capacity')), 0)
  local all = {free = capacity > 0 and capacity or 1000000, reserved = 0, lanes = {}}
  local found, ready = {}, 0
  for _, name in ipairs(redis.call('SMEMBERS', key('destinations'))) do
    local facts = redis.call('HMGET', key('destination', name), 'state', 'concurrency')
    local state = facts[1] or 'ready'
    if state == 'ready' then ready = ready + 1 end
    found[#found + 1] = {name = name, concurrency = number(facts[2], 8), state = state}
  end
  local share = math.max(1, math.floor(all.free / math.max(ready, 1)))
  function all.lane(name, concurrency, state)
    local used = redis.call('ZCARD', key('running', name))
    if sent then used = used + redis.call('ZCOUNT', key('sent', name), '(' .. int(now), '+inf') end
    local lane = {name = name, used = used, share = math.min(share, concurrency)}
    all.free = all.free - used
    if state == 'ready' then all.reserved = all.reserved + math.max(0, lane.share - used) end
    all.lanes[name] = lane
    return lane
  end
  for _, one in ipairs(found) do all.lane(one.name, one.concurrency, one.state) end
  return all
end

-- what an answer told about the destination's limits holds for every worker from now on
local function learn(destination, seen)
  local record, traffic = key('destination', destination), key('traffic', destination)
  if redis.call('EXISTS', record) == 0 then return end
  local before, pause = number(redis.call('HGET', record, 'not_before_ms'), 0), seen.pause_ms
  if seen.throttled and before <= now then
    local times = redis.call('HINCRBY', traffic, 'throttles', 1)
    pause = pause or math.min(1000 * 2 ^ math.min(times - 1, 10), LONGEST_PENALTY)
    local wide = math.min(number(redis.call('HGET', traffic, 'room'), 100000), redis.call('ZCARD', key('running', destination)))
    redis.call('HSET', traffic, 'room', math.max(1, math.floor(wide / 2)))
  end
  if pause and now + pause > before then redis.call('HSET', record, 'not_before_ms', int(now + pause)) end
  if seen.pace_ms then
    redis.call('HSET', traffic, 'pace_ms', string.format('%.3f', seen.pace_ms), 'pace_until_ms', int(now + seen.pace_for_ms))
  end
  for name, value in pairs(seen.quota or {}) do redis.call('HSET', traffic, 'quota_' .. name, tostring(value)) end
  if seen.quota then redis.call('HSET', traffic, 'quota_at_ms', int(now)) end
end

-- what a connection test or a delivery showed: the destination works, or fails at a step; the moment is that of the change
local function prove(destination, failed_at)
  local traffic, is = key('traffic', destination), failed_at and 'failing' or 'healthy'
  local was = redis.call('HMGET', traffic, 'proved', 'proved_step')
  if was[1] ~= is then redis.call('HSET', traffic, 'proved', is, 'proved_ms', int(now)) end
  if was[2] ~= (failed_at or '') then redis.call('HSET', traffic, 'proved_step', failed_at or '') end
end

-- an attempt's end weighs on the breaker, and widens again what throttling made narrow; returns `opened`, `closed` or ''
local function weigh(destination, job, sign)
  local record, traffic = key('destination', destination), key('traffic', destination)
  if redis.call('EXISTS', record) == 0 then return '' end
  local gate = gate_of(destination)
  local since = number(redis.call('HGET', traffic, 'probe_ms'), now)
  local was, is = gate.breaker, breaker_after(gate.breaker, sign, job, now, gate.limit, gate.cooldown, since)
  if is ~= was then
    redis.call('HSET', traffic, 'failures', is.failures, 'last', is.last, 'opens', is.opens, 'until_ms', int(is.until_ms),
      'probe', is.probe)
  end
  if sign == 'up' then
    redis.call('HDEL', traffic, 'throttles')
    local narrow = redis.call('HGET', traffic, 'room')
    if narrow then
      local wider = number(narrow, 1) + 1 / math.max(number(narrow, 1), 1)
      if wider >= number(redis.call('HGET', record, 'concurrency'), 8) then redis.call('HDEL', traffic, 'room')
      else redis.call('HSET', traffic, 'room', string.format('%.3f', wider)) end
    end
  end
  local failing = redis.call('HGET', traffic, 'proved') == 'failing'
  if was.until_ms == 0 and is.until_ms > 0 then
    if not failing then prove(destination, 'delivery') end
    return 'opened'
  end
  if failing and sign == 'up' and redis.call('HGET', traffic, 'proved_step') == 'delivery' then prove(destination) end
  if was.until_ms == 0 or is.until_ms > 0 then return '' end
  go_on(destination)
  return 'closed'
end
