-- take_over(args: id, token, to, blame, last_error, superseded_by?): give back the job of a worker that died, or whose lease ran out
local id = args.id
if get(id, 'state') ~= 'running' or tonumber(get(id, 'token')) ~= args.token then return {'refused', 'fenced'} end
local lease = tonumber(redis.call('ZSCORE', key('leases'), id) or 0)
local alive = tonumber(redis.call('ZSCORE', key('workers'), get(id, 'worker') or '') or 0)
if lease > now and alive > now then return {'refused', 'alive'} end

local subject = key('subject', get(id, 'subject'))
local newer = redis.call('HGET', subject, 'waiting')
if args.to == 'retrying' and newer then return {'refused', 'newer', newer} end
let_go(id)
redis.call('HINCRBY', job_key(id), 'attempts', -1)
redis.call('HINCRBY', job_key(id), 'crashes', 1)
redis.call('HSET', job_key(id), 'blame', args.blame)
redis.call('HSET', job_key(id), 'last_error', args.last_error)
if args.superseded_by then redis.call('HSET', job_key(id), 'superseded_by', args.superseded_by) end
enter(id, args.to)
if args.to == 'retrying' then
  redis.call('HSET', subject, 'waiting', id)
  wait_until(id, now)
else
  finish(id, args.to)
  tell(id)
  if newer then wait_until(newer, now) end
end
note(id, entry.event, {error = args.last_error, state = args.to})
audit()
wake()
return {'ok'}
