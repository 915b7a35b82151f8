-- keep(args: id, sealed, owner, shared, fresh, most, most_shared): store a view and list it with its owner's, and with everybody's where it is shared
local mine, everybodys = key('views', 'of', args.owner), key('views', 'shared')
if args.fresh then
  if redis.call('SCARD', mine) >= args.most then return {'refused', 'most'} end
elseif redis.call('EXISTS', key('view', args.id)) == 0 then
  return {'refused', 'gone'}
end
if args.shared then
  if redis.call('SISMEMBER', everybodys, args.id) == 0 and redis.call('SCARD', everybodys) >= args.most_shared then
    return {'refused', 'most_shared'}
  end
  redis.call('SADD', everybodys, args.id)
else
  redis.call('SREM', everybodys, args.id)
end
redis.call('HSET', key('view', args.id), 'sealed', args.sealed)
redis.call('SADD', mine, args.id)
audit()
return {'ok'}
