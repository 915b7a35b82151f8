-- intent(args: id, token?, destination?, stage, writes, doubt_until_ms?, tried?, paid?, patience_ms?): permit one request, of a job that is still ours (or say when) or of no job, in its turn where it names a destination
-- with traffic/decisions
local id, destination = args.id, args.destination
if id ~= '' then
  if get(id, 'state') ~= 'running' or tonumber(get(id, 'token')) ~= args.token then return {'refused', 'fenced'} end
  destination = get(id, 'destination')
end
if destination then
  local gate = gate_of(destination)
  local at, tat = math.max(now, gate.not_before), nil
  if not args.paid then at, tat = slot(gate, at) end
  if at - now > args.patience_ms then return {'refused', 'throttled', int(math.ceil(at))} end
  spend(destination, tat)
  if gate.interval > 0 and id ~= '' then redis.call('ZREM', key('starting', destination), id) end
  if at > now then
    if id ~= '' then redis.call('ZINCRBY', key('leases'), math.ceil(at - now), id) end
    return {'refused', 'slot', int(math.ceil(at - now))}
  end
  if args.writes then
    redis.call('HSET', key('subject', get(id, 'subject')), 'doubt_until_ms', int(args.doubt_until_ms))
    if args.tried then redis.call('HSET', key('subject', get(id, 'subject')), 'tried', args.tried) end
  end
end
local intent = entry.chain .. '/' .. entry.seq
redis.call('ZADD', key('intents'), int(now), intent)
redis.call('HSET', key('intents', 'of'), intent, cjson.encode({id = id, token = args.token, stage = args.stage}))
audit()
return {'ok'}
