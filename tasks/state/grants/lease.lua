-- lease(args: name, holder, lease_ms): let one process at a time renew what is held; the others are told how long to wait
local name = key('grant', args.name)
local grant = redis.call('HMGET', name, 'held', 'version', 'until_ms')
local left = (tonumber(grant[3] or '0') or 0) - now
if left > 0 then return {'', '', int(now), int(left)} end
redis.call('HSET', name, 'holder', args.holder, 'until_ms', int(now + args.lease_ms))
return {grant[1] or '', grant[2] or '0', int(now), '0'}
