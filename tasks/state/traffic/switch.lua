-- switch(args: name, from?, revision?, whole?, whole_now?, to, reason, forget, soon): change a destination's state, where it still is what the caller saw
-- with traffic/decisions
local record, traffic = key('destination', args.name), key('traffic', args.name)
local is = redis.call('HMGET', record, 'state', 'revision', 'probe_ms')
if not is[2] then return {'refused', 'unknown'} end
if args.from and (is[1] or 'ready') ~= args.from then return {'refused', 'state', is[1] or 'ready'} end
if args.revision and tonumber(is[2]) ~= args.revision then return {'refused', 'revision', is[2]} end
if args.whole and redis.call('HGET', record, 'whole') ~= args.whole then return {'refused', 'whole'} end
if args.whole_now then redis.call('HSET', record, 'whole', args.whole_now) end
redis.call('HSET', record, 'state', args.to, 'reason', args.reason)
if args.to == 'suspended' then
  redis.call('HSET', traffic, 'probe_soon', args.soon and '1' or '')
  local wait = probe_pause(number(is[3], 60000), number(redis.call('HGET', traffic, 'probes'), 0), args.soon)
  redis.call('HSET', traffic, 'next_probe_ms', int(now + wait))
end
if args.forget then
  redis.call('HSET', record, 'not_before_ms', '0')
  redis.call('HDEL', traffic, 'failures', 'last', 'opens', 'until_ms', 'probe', 'room', 'throttles', 'pace_ms', 'pace_until_ms', 'probes')
  go_on(args.name)
end
audit()
wake()
return {'ok'}
