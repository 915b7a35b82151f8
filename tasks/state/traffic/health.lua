-- health(args: name): everything that decides whether a destination's jobs go out, read at one moment
-- with traffic/decisions
local name = args.name
local gate = gate_of(name)
local record = redis.call('HMGET', key('destination', name), 'reason', 'last_success_ms', 'rate_per_s')
local seen = redis.call('HMGET', key('traffic', name), 'pace_ms', 'pace_until_ms', 'quota_limit', 'quota_remaining',
  'quota_reset_ms', 'quota_reason', 'quota_at_ms', 'room', 'next_probe_ms', 'proved', 'proved_ms', 'proved_step',
  'test', 'test_at_ms')
local breaker = 'closed'
if gate.breaker.until_ms > 0 then breaker = gate.breaker.until_ms > now and 'open' or 'half_open' end
local oldest
for _, state in ipairs({'queued', 'retrying'}) do
  local first = redis.call('ZRANGE', key('state', state, name), 0, 0, 'WITHSCORES')
  if first[2] then oldest = math.min(oldest or tonumber(first[2]), tonumber(first[2])) end
end
return cjson.encode({
  state = gate.state, reason = record[1] or '', breaker = breaker, failures = gate.breaker.failures,
  not_before_ms = math.max(gate.not_before, gate.breaker.until_ms),
  rate_per_s = tonumber(record[3] or 0), learned_per_s = number(seen[2], 0) > now and 1000 / number(seen[1], 1) or 0,
  room = seen[8] and gate.concurrency or 0,
  quota_limit = tonumber(seen[3] or ''), quota_remaining = tonumber(seen[4] or ''), quota_reset_ms = tonumber(seen[5] or ''),
  quota_reason = seen[6] or '', quota_at_ms = tonumber(seen[7] or ''),
  next_probe_ms = gate.state == 'suspended' and tonumber(seen[9] or '') or nil,
  running = redis.call('ZCARD', key('running', name)), waiting = redis.call('ZCARD', key('due', name)),
  oldest_waiting_ms = oldest, last_success_ms = tonumber(record[2] or ''),
  now_ms = math.floor(now), proved = seen[10] or '', proved_ms = number(seen[11], 0), proved_step = seen[12] or '',
  test = seen[13] or nil, test_at_ms = number(seen[14], 0),
})
