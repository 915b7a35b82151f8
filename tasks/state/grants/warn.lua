-- warn(args: name, mark): one warning for each stage of a credential's end, whichever process comes first
local name = key('grant', args.name)
if redis.call('HGET', name, 'warned') == args.mark then return {'refused', 'told'} end
redis.call('HSET', name, 'warned', args.mark)
audit()
return {'ok'}
