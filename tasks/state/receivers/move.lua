-- move(args: name, token, cursor, wait_ms): go on from `cursor` after `wait_ms`, where this lease still counts: there was nothing to tell
local progress = key('receiver', 'progress', args.name)
if tonumber(redis.call('HGET', progress, 'token') or 0) ~= args.token then return 0 end
redis.call('HSET', progress, 'cursor', args.cursor, 'due_ms', int(now + args.wait_ms))
return 1
