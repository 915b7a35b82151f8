-- submit(args: id, fields, subject, waiting, max_age_ms, actor, caller?, chosen?, idle?, contents?, idempotency?, fingerprint?, remember_ms, terms, not_before_ms?, until_ms?): a new job, the newest of its subject, where whoever asks is let in (`caller`) and the destinations are those that it was `chosen` among
-- with lua/marks
-- with access/bucket
local id = args.id
local caller, chosen = args.caller, args.chosen
if caller and mark_of(key('apikey', caller.id), caller.says) ~= caller.mark then return {'refused', 'caller'} end
-- counts the request against the rate of whoever asks; what is refused here is counted by who answers it
local function has_room() return not caller or take(caller) ~= nil end
local contents = args.contents or {}

if args.idempotency then
  local known = redis.call('HMGET', key('idempotency', args.idempotency), 'job', 'fingerprint')
  if known[1] then
    if known[2] ~= args.fingerprint then return {'refused', 'idempotency', known[1]} end
    return has_room() and {'exists', known[1]} or {'refused', 'caller'}
  end
end
if redis.call('EXISTS', job_key(id)) == 1 then return has_room() and {'exists', id} or {'refused', 'caller'} end
if chosen then
  for _, name in ipairs(chosen.all and redis.call('SMEMBERS', key('destinations')) or {}) do
    if not chosen.marks[name] then return {'refused', 'chosen'} end
  end
  for name, mark in pairs(chosen.marks) do
    if mark_of(key('destination', name), chosen.says) ~= mark then return {'refused', 'chosen'} end
  end
end

local subject = key('subject', args.subject)
-- a job whose moment is to come stands aside: it takes its place when it is claimed, and nobody's before
local aside = args.not_before_ms
local waiting = aside and '' or redis.call('HGET', subject, 'waiting') or ''
if waiting ~= args.waiting then return {'refused', 'moved', waiting} end
if args.idle and redis.call('HGET', subject, 'running') then return {'refused', 'busy'} end
if not has_room() then return {'refused', 'caller'} end

for name, sealed in pairs(contents) do
  redis.call('SET', key(name), sealed)
  redis.call('ZADD', key('contents'), int(now), name)
end
local expires = math.max(now, aside or 0) + args.max_age_ms
if args.until_ms then expires = math.min(expires, args.until_ms) end
local order = redis.call('HINCRBY', subject, 'order', 1)
redis.call('HSET', job_key(id), unpack(args.fields))
redis.call('HSET', job_key(id), 'id', id, 'order', order, 'created_ms', int(now),
  'expires_ms', int(expires), 'attempts', 0, 'crashes', 0, 'token', 0)
if aside then redis.call('HSET', job_key(id), 'not_before_ms', int(aside)) end
local issue = get(id, 'issue')
if issue then
  redis.call('SADD', key('links', issue, 'subjects'), args.subject)
  redis.call('HSET', subject, 'issue', issue)
end
if waiting ~= '' then
  stop_waiting(waiting)
  redis.call('HSET', job_key(waiting), 'superseded_by', id)
  enter(waiting, 'superseded')
  finish(waiting, 'superseded')
  tell(waiting)
  note(waiting, 'job.superseded', {by = id})
end
if not aside then redis.call('HSET', subject, 'waiting', id) end
if args.idempotency then
  local remembered = key('idempotency', args.idempotency)
  redis.call('HSET', remembered, 'job', id, 'fingerprint', args.fingerprint)
  redis.call('PEXPIRE', remembered, int(args.remember_ms))
  redis.call('HSET', job_key(id), 'idempotency', args.idempotency)
end
enter(id, 'queued')
found_by(id, args.terms)
need(id)
wait_until(id, now)
redis.call('ZADD', key('jobs'), int(now), id)
redis.call('ZADD', key('ids'), 0, id)
redis.call('ZADD', key('jobs', get(id, 'destination')), int(now), id)
redis.call('SADD', key('known'), get(id, 'destination'))
note(id, 'job.submitted', {actor = args.actor})
audit()
wake(not aside and get(id, 'kind') .. ' ' .. id)
return {'ok', '', '', order, int(now), get(id, 'due_ms'), int(expires)}
