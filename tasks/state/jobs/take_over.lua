-- take_over(args: id, token, to, blame, share (0: no crash), last_error, superseded_by?): give back the job of a worker that died, or whose lease ran out
-- with jobs/silence
local id = args.id
if get(id, 'state') ~= 'running' or tonumber(get(id, 'token')) ~= args.token then return {'refused', 'fenced'} end
local lease = tonumber(redis.call('ZSCORE', key('leases'), id) or 0)
local alive = tonumber(redis.call('ZSCORE', key('workers'), get(id, 'worker') or '') or 0)
if lease > now and alive > now then return {'refused', 'alive'} end
if not can_tell() then return {'refused', 'silence'} end

local subject = key('subject', get(id, 'subject'))
local newer = redis.call('HGET', subject, 'waiting')
if args.to == 'retrying' and newer then return {'refused', 'newer', newer} end
local worker = get(id, 'worker') or ''
let_go(id)
redis.call('HINCRBY', job_key(id), 'attempts', -1)
if args.share > 0 then
  redis.call('HSET', job_key(id), 'blame', args.blame)
  -- only a worker that is gone has crashed; one that comes back hears of it here
  if alive <= now then
    redis.call('HINCRBY', job_key(id), 'crashes', 1)
    redis.call('HSET', key('worker', worker, 'taken'), id, args.share)
    redis.call('PEXPIRE', key('worker', worker, 'taken'), 24 * 3600 * 1000)
  end
end
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
