-- settle_callback(args: message, origin, job, attempts, due_ms?, detail): end one post; without `due_ms` it was the last
local record, due = key('callback', args.message), key('callbacks', args.origin)
if tonumber(redis.call('HGET', record, 'attempts') or 0) ~= args.attempts then return {'refused', 'fenced'} end
if args.due_ms then
  redis.call('ZADD', due, int(args.due_ms), args.message)
else
  redis.call('ZREM', due, args.message)
  redis.call('DEL', record)
end
if get(args.job, 'state') then note(args.job, entry.event, args.detail) end
audit()
return {'ok'}
