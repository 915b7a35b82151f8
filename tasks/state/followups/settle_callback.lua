-- settle_callback(args: message, origin, job, attempts, due_ms?, intent?, detail): end one post and close its intent; without `due_ms` it was the last
local record, due = key('callback', args.message), key('callbacks', args.origin)
if tonumber(redis.call('HGET', record, 'attempts') or 0) ~= args.attempts then return {'refused', 'fenced'} end
if args.intent then
  if redis.call('ZREM', key('intents'), args.intent) == 0 then return {'refused', 'closed'} end
  redis.call('HDEL', key('intents', 'of'), args.intent)
end
if args.due_ms then
  redis.call('ZADD', due, int(args.due_ms), args.message)
else
  redis.call('ZREM', due, args.message)
  redis.call('DEL', record)
end
if get(args.job, 'state') then note(args.job, entry.event, args.detail) end
audit()
return {'ok'}
