-- claim(args: id, worker, claim, lease_ms, silent_ms): take the job for one attempt, if it is its turn; again with the same `claim` is the same
local id = args.id
local state = get(id, 'state')
if not state then return {'refused', 'unknown'} end
if state == 'running' and get(id, 'claim') == args.claim then return {'exists', id} end
if state ~= 'queued' and state ~= 'retrying' then return {'refused', 'state', state} end

local destination = get(id, 'destination')
local facts = redis.call('HMGET', key('destination', destination), 'state', 'not_before_ms', 'concurrency')
local function later(reason, due_ms)
  redis.call('ZREM', key('sent', destination), id)
  wait_until(id, due_ms)
  return {'refused', reason, int(due_ms)}
end
if facts[1] and facts[1] ~= 'ready' then return later('destination', now) end
if tonumber(facts[2] or 0) > now then return later('throttled', tonumber(facts[2])) end

local subject = key('subject', get(id, 'subject'))
local running = redis.call('HGET', subject, 'running')
if running and running ~= id then return later('busy', now + 1000) end
if tonumber(redis.call('HGET', subject, 'delivered_order') or 0) > tonumber(get(id, 'order')) then
  return {'refused', 'stale', redis.call('HGET', subject, 'delivered_by') or ''}
end
if redis.call('ZCARD', key('running', destination)) >= tonumber(facts[3] or 8) then return later('full', now + 500) end

stop_waiting(id)
if redis.call('HGET', subject, 'waiting') == id then redis.call('HDEL', subject, 'waiting') end
redis.call('HSET', subject, 'running', id)
enter(id, 'running')
local token = redis.call('HINCRBY', job_key(id), 'token', 1)
local attempt = redis.call('HINCRBY', job_key(id), 'attempts', 1)
redis.call('HSET', job_key(id), 'worker', args.worker, 'claim', args.claim)
redis.call('ZADD', key('workers'), 'NX', int(now + args.silent_ms), args.worker)
redis.call('ZADD', key('leases'), int(now + args.lease_ms), id)
redis.call('ZADD', key('running', destination), int(now), id)
redis.call('SADD', key('worker', args.worker, 'jobs'), id)
note(id, 'attempt.started', {attempt = attempt, worker = args.worker})
audit()
return {'ok'}
