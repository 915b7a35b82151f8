-- release(args: name, holder): end a lease that nothing came of; whoever took it over keeps it
local name = key('grant', args.name)
if redis.call('HGET', name, 'holder') == args.holder then redis.call('HDEL', name, 'holder', 'until_ms') end
return {'ok'}
