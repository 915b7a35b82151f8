-- operate(args: id, from, to, actor?, reason?, released?, release_seal?, subject?, signed?, superseded_by?): an operator's or the ledger's own decision about a resting job
-- with traffic/setting
local id = args.id
local state = get(id, 'state')
if not state then return {'refused', 'unknown'} end
local allowed = false
for _, from in ipairs(args.from) do allowed = allowed or from == state end
if not allowed then return {'refused', 'state', state} end

local moved = args.subject and args.subject ~= get(id, 'subject')
local subject = key('subject', moved and args.subject or get(id, 'subject'))
local waiting = redis.call('HGET', subject, 'waiting')
-- a job whose moment is to come stands aside again, as when it was submitted
local moment = tonumber(get(id, 'not_before_ms') or 0)
local aside = moment > now
if args.to == 'queued' then
  local newest = tonumber(redis.call('HGET', subject, 'delivered_order') or 0)
  if not aside and not moved and newest > tonumber(get(id, 'order')) then
    return {'refused', 'stale', redis.call('HGET', subject, 'delivered_by') or ''}
  end
  local rival = waiting or redis.call('HGET', subject, 'running')
  if not aside and rival and rival ~= id then return {'refused', 'rival', rival} end
  if moved then
    local order = redis.call('HINCRBY', subject, 'order', 1)
    redis.call('HSET', job_key(id), 'subject', args.subject, 'order', order)
    if args.signed then redis.call('HSET', job_key(id), 'signed', args.signed) end
    forget_facts()
  end
  if not aside then redis.call('HSET', subject, 'waiting', id) end
  local max_age_ms = math.floor(3600000 * setting(get(id, 'destination'), 'max_age_hours', 72))
  redis.call('HSET', job_key(id), 'attempts', 0, 'crashes', 0, 'blame', 0, 'suspicions', 0, 'expires_ms', int(math.max(now, moment) + max_age_ms))
  if args.released then redis.call('HSET', job_key(id), 'released', '1', 'release_seal', args.release_seal) end
  redis.call('ZREM', key('finished', 'dead'), id)
  need(id)
else
  stop_waiting(id)
  if waiting == id then redis.call('HDEL', subject, 'waiting') end
  if args.superseded_by then redis.call('HSET', job_key(id), 'superseded_by', args.superseded_by) end
  redis.call('ZREM', key('finished', 'dead'), id)
  finish(id, args.to)
  tell(id)
end
enter(id, args.to)
if args.to == 'queued' then wait_until(id, now) end
note(id, entry.event, {actor = args.actor, reason = args.reason})
audit()
wake()
return {'ok'}
