-- keep(args: name, holder, version, held): put tokens in the place of those that they were made from, and of no others
local name = key('grant', args.name)
local is = redis.call('HGET', name, 'version') or '0'
if is ~= args.version then return {'refused', 'version', is} end
redis.call('HSET', name, 'held', args.held, 'version', int(tonumber(is) + 1))
if redis.call('HGET', name, 'holder') == args.holder then redis.call('HDEL', name, 'holder', 'until_ms') end
audit()
return {'ok'}
