-- unsend(args: id): a wake-up that reached a worker which takes no more: offer the job to another one now
local id = args.id
local destination = get(id, 'destination')
if destination and redis.call('ZREM', key('sent', destination), id) == 1 then
  redis.call('HDEL', job_key(id), 'sends')
  wait_until(id, now)
  wake()
end
return {'ok'}
