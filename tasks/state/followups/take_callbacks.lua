-- take_callbacks(args: origin, batch, lease_ms): the outcomes due for this origin, oldest first, each leased for one post
local due = key('callbacks', args.origin)
local taken = {}
for _, message in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', int(now), 'LIMIT', 0, args.batch)) do
  redis.call('HINCRBY', key('callback', message), 'attempts', 1)
  redis.call('ZADD', due, int(now + args.lease_ms), message)
  taken[#taken + 1] = {message, redis.call('HGETALL', key('callback', message))}
end
if redis.call('ZCARD', due) == 0 then redis.call('SREM', key('callbacks'), args.origin) end
return taken
