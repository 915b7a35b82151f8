-- settle(args: id, token, to, due_ms?, counted, suspected, last_error?, receipt?, receipt_seal?, family_seal?, shown?, wrote?: {subject: sealed}, doubt, sign?, link?: {issue, entry?}, superseded_by?, terms?): end an attempt
-- with traffic/decisions
local id = args.id
if get(id, 'state') ~= 'running' or tonumber(get(id, 'token')) ~= args.token then return {'refused', 'fenced'} end
local subject = key('subject', get(id, 'subject'))
local newer = redis.call('HGET', subject, 'waiting')
local waits = args.to == 'queued' or args.to == 'retrying'
if waits and newer then return {'refused', 'newer', newer} end

local destination = get(id, 'destination')
let_go(id)
redis.call('HDEL', job_key(id), 'blame')
if not args.counted then redis.call('HINCRBY', job_key(id), 'attempts', -1) end
if args.suspected then redis.call('HINCRBY', job_key(id), 'suspicions', 1) end
if args.last_error then redis.call('HSET', job_key(id), 'last_error', args.last_error) end
if args.to == 'delivered' then redis.call('HDEL', job_key(id), 'last_error') end
if args.superseded_by then redis.call('HSET', job_key(id), 'superseded_by', args.superseded_by) end

if args.doubt == 'clear' then redis.call('HDEL', subject, 'doubt_until_ms', 'tried')
elseif args.doubt ~= 'keep' then redis.call('HSET', subject, 'doubt_until_ms', int(args.doubt)) end
if args.receipt then
  redis.call('HSET', job_key(id), 'receipt', args.receipt)
  redis.call('HSET', subject, 'receipt', args.receipt, 'receipt_seal', args.receipt_seal, 'delivered_ms', int(now))
  -- A job that only brings links up to date delivers no content: a job held before it may still be released.
  -- It leaves what the object shows of a content, too.
  if not get(id, 'follows') then
    redis.call('HSET', subject, 'delivered_order', get(id, 'order'), 'delivered_by', id, 'shown', args.shown or '')
    if get(id, 'kind') ~= 'confluence' then -- a ticket may be followed
      redis.call('HSET', subject, 'followed', destination, 'about', get(id, 'content') or '')
      redis.call('ZADD', key('followed', destination), int(now), get(id, 'subject'))
    end
  end
  local family = get(id, 'family')
  if family then redis.call('HSET', key('subject', family), 'receipt', args.receipt, 'receipt_seal', args.family_seal or '', 'delivered_ms', int(now)) end
  for whose, sealed in pairs(args.wrote or {}) do redis.call('HSET', key('subject', whose), 'wrote', sealed) end
end
if args.link then
  redis.call('HSET', job_key(id), 'issue', args.link.issue)
  forget_facts()
  redis.call('HSET', subject, 'issue', args.link.issue)
  redis.call('SADD', key('links', args.link.issue, 'subjects'), get(id, 'subject'))
  local record, member = key('links', args.link.issue), get(id, 'subject')
  if args.link.entry then redis.call('HSET', record, member, args.link.entry) else redis.call('HDEL', record, member) end
end

enter(id, args.to)
found_by(id, args.terms)
if waits then
  redis.call('HSET', subject, 'waiting', id)
  local due_ms, down = args.due_ms, args.sign == 'down' or args.sign == 'shut'
  if down and redis.call('HGET', key('traffic', destination), 'probe') == id then
    -- the next probe is another job, however far ahead all of them are due
    local _, last_ms = in_turn(destination, 'ZREVRANGE')
    due_ms = math.max(due_ms, (last_ms or 0) + 1)
  end
  wait_until(id, due_ms)
  if down then stalls(destination, id, due_ms) end
elseif args.to ~= 'held' then
  finish(id, args.to)
  tell(id)
end
if newer then wait_until(newer, now) end

redis.call('ZREM', key('starting', destination), id)
local moved = weigh(destination, id, args.sign)
if args.to == 'delivered' and redis.call('EXISTS', key('destination', destination)) == 1 then
  redis.call('HSET', key('destination', destination), 'last_success_ms', int(now))
  redis.call('HDEL', key('traffic', destination), 'probes')
  prove(destination)
end
note(id, entry.event, {due_ms = args.due_ms, error = args.last_error, state = args.to})
audit()
wake()
return {'ok', moved}
