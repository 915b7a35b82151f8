-- claim(args: id, worker, claim, lease, silent_ms, commands): take the job for one attempt, if it is its turn, with everything that the attempt needs; again with the same `claim` is the same
-- with traffic/decisions
-- with traffic/setting
-- with look_first/server
local id = args.id
local state = get(id, 'state')
if not state then return {'refused', 'unknown'} end
local destination = get(id, 'destination')

-- Since when the ledger may lack what was delivered. A job that was submitted before an operator cleared that still looks first:
-- its object may be one that the ledger lost.
local function look_first()
  local flag = redis.call('HMGET', key('look_first'), 'since_ms', 'cleared_ms')
  if flag[1] and (not flag[2] or tonumber(get(id, 'created_ms')) <= tonumber(flag[2])) then return flag[1] end
  return ''
end

-- the records of job and destination, what is known of its subject, its content, the links of its issue, and the destination's tokens
local function everything()
  local subject = redis.call('HMGET', key('subject', get(id, 'subject')), 'receipt', 'doubt_until_ms', 'delivered_ms', 'tried', 'shown', 'wrote', 'receipt_seal')
  local content, issue = get(id, 'content'), get(id, 'issue')
  local grant = redis.call('HMGET', key('grant', destination), 'held', 'version') -- as grants/look reads it
  return redis.call('HGETALL', job_key(id)), redis.call('HGETALL', key('destination', destination)), subject,
    content and redis.call('GET', key(content)), issue and redis.call('HGETALL', key('links', issue)) or {},
    look_first(), {grant[1] or '', grant[2] or '0', int(now)}
end

if state == 'running' and get(id, 'claim') == args.claim then return {'exists', gate_of(destination).breaker.probe == id and 'probe' or '', '', everything()} end
if state ~= 'queued' and state ~= 'retrying' then return {'refused', 'state', state} end
local readable, command = pcall(cjson.decode, get(id, 'command'))
local known = false
for _, name in ipairs(args.commands) do known = known or (readable and type(command) == 'table' and command.command == name) end
if not known then return {'refused', 'unreadable'} end

local gate = gate_of(destination)
local function later(reason, due_ms)
  redis.call('ZREM', key('sent', destination), id)
  redis.call('HDEL', job_key(id), 'sends')
  wait_until(id, math.ceil(due_ms))
  return {'refused', reason, int(math.ceil(due_ms))}
end
local not_before = tonumber(get(id, 'not_before_ms') or 0)
if not_before > now then return later('early', not_before) end
if settling() then return later('settling', now + 500) end
if gate.state ~= 'ready' then return later('destination', now) end
if gate.breaker.until_ms > now then return later('breaker', gate.breaker.until_ms) end
if gate.breaker.until_ms > 0 and probing(destination, gate) then return later('breaker', now + 1000) end
local at = slot(gate, math.max(now, gate.not_before), gate.interval > 0 and starting(destination) or 0)
if at > now then return later('throttled', at) end

local subject = key('subject', get(id, 'subject'))
local running = redis.call('HGET', subject, 'running')
if running and running ~= id then
  -- the end of the running one wakes this one; its lease is only for the case that nobody sees that end
  local lease = number(redis.call('ZSCORE', key('leases'), running), now)
  return later('busy', math.max(now + 1000, math.min(lease, now + 30000)))
end
-- a job that stood aside until its moment comes behind whatever waits for the subject then, and is newer than that
local place = redis.call('HGET', subject, 'waiting')
local aside = not_before > 0 and place ~= id
if aside and place then
  return later('busy', math.max(now + 1000, tonumber(redis.call('HGET', job_key(place), 'due_ms') or 0)))
end
if not aside and tonumber(redis.call('HGET', subject, 'delivered_order') or 0) > tonumber(get(id, 'order')) then
  return {'refused', 'stale', redis.call('HGET', subject, 'delivered_by') or ''}
end
local all = threads(false)
local lane = all.lanes[destination] or all.lane(destination, gate.concurrency, gate.state)
if lane.used >= gate.concurrency or not may_take(lane, all) then return later('full', now + 500) end

if gate.interval > 0 then redis.call('ZADD', key('starting', destination), int(now + 10000), id) end
local probe = gate.breaker.until_ms > 0
if probe then redis.call('HSET', key('traffic', destination), 'probe', id, 'probe_ms', int(now)) end
stop_waiting(id)
if aside then
  redis.call('HSET', job_key(id), 'order', redis.call('HINCRBY', subject, 'order', 1))
  forget_facts()
end
if place == id then redis.call('HDEL', subject, 'waiting') end
redis.call('HSET', subject, 'running', id)
enter(id, 'running')
-- a token that was given out before the ledger went back is never given out again
redis.call('HSET', job_key(id), 'token', int(math.max(tonumber(get(id, 'token') or 0) + 1, tonumber(redis.call('HGET', key('look_first'), 'since_ms') or 0))))
local attempt = redis.call('HINCRBY', job_key(id), 'attempts', 1)
redis.call('HSET', job_key(id), 'worker', args.worker, 'claim', args.claim)
if not redis.call('ZSCORE', key('workers'), args.worker) then redis.call('ZADD', key('workers'), int(now + args.silent_ms), args.worker) end
-- an attempt may make so many requests, each as long as the destination's settings let it, before others take it for lost
local request_ms = 1000 * setting(destination, 'total_timeout_s', args.lease.total_s)
redis.call('ZADD', key('leases'), int(now + math.ceil(request_ms * args.lease.requests + args.lease.margin_ms)), id)
redis.call('ZADD', key('running', destination), int(now), id)
redis.call('SADD', key('worker', args.worker, 'jobs'), id)
note(id, 'attempt.started', {attempt = attempt, worker = args.worker})
audit()
return {'ok', probe and 'probe' or '', '', everything()}
