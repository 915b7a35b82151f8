-- take(args: name, lease_ms): where a receiver's reading goes on and how often it failed, leased for one message; nothing where it isn't due
local progress = key('receiver', 'progress', args.name)
if redis.call('EXISTS', key('receiver', args.name)) == 0 then return {} end
if tonumber(redis.call('HGET', progress, 'due_ms') or 0) > now then return {} end
redis.call('HSET', progress, 'due_ms', int(now + args.lease_ms))
local token = redis.call('HINCRBY', progress, 'token', 1)
return {token, redis.call('HGET', progress, 'cursor') or '0-0', tonumber(redis.call('HGET', progress, 'failures') or 0)}
