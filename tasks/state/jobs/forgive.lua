-- forgive(args: id, worker): a crash that was counted for a worker that lives, and was only out of Redis' reach, is none
local id, taken = args.id, key('worker', args.worker, 'taken')
local share = redis.call('HGET', taken, id)
if not share or not get(id, 'state') then
  redis.call('HDEL', taken, id)
  return {'refused', 'unknown'}
end
redis.call('HDEL', taken, id)
if tonumber(get(id, 'crashes') or 0) > 0 then redis.call('HINCRBY', job_key(id), 'crashes', -1) end
local blame = tonumber(get(id, 'blame') or 0) - tonumber(share)
if blame > 0.000001 then redis.call('HSET', job_key(id), 'blame', blame) else redis.call('HDEL', job_key(id), 'blame') end
note(id, entry.event, {worker = args.worker})
audit()
return {'ok'}
