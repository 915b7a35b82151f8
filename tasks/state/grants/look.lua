-- look(args: name): what is held for a destination, its version, and the moment
local grant = redis.call('HMGET', key('grant', args.name), 'held', 'version')
return {grant[1] or '', grant[2] or '0', int(now)}
