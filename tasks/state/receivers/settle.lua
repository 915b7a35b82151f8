-- settle(args: name, token?, intent?, cursor?, wait_ms?): close the intent of a message; with `cursor` it arrived and the reading goes on there, without it is sent again after `wait_ms`
if args.intent then
  if redis.call('ZREM', key('intents'), args.intent) == 0 then return {'refused', 'closed'} end
  redis.call('HDEL', key('intents', 'of'), args.intent)
end
local progress = key('receiver', 'progress', args.name)
if args.token and tonumber(redis.call('HGET', progress, 'token') or 0) == args.token then
  redis.call('HSET', progress, 'due_ms', int(now + args.wait_ms))
  if args.cursor then
    redis.call('HSET', progress, 'cursor', args.cursor, 'failures', 0)
  else
    redis.call('HINCRBY', progress, 'failures', 1)
  end
end
if redis.call('EXISTS', key('receiver', args.name)) == 1 then
  redis.call('HSET', progress, 'standing', entry.event == 'notification.ok' and 'good' or 'failing')
end
audit()
return {'ok'}
