-- expire(args: id, last_error): a job that still waits though its time is over ends as dead, whatever its destination lets out
local id = args.id
local state = get(id, 'state')
if state ~= 'queued' and state ~= 'retrying' then return {'refused', 'state', state or ''} end
if tonumber(get(id, 'expires_ms')) > now then return {'refused', 'early'} end
stop_waiting(id)
local subject = key('subject', get(id, 'subject'))
if redis.call('HGET', subject, 'waiting') == id then redis.call('HDEL', subject, 'waiting') end
redis.call('HSET', job_key(id), 'last_error', args.last_error)
enter(id, 'dead')
finish(id, 'dead')
tell(id)
note(id, entry.event, {error = args.last_error, state = 'dead'})
audit()
wake()
return {'ok'}
