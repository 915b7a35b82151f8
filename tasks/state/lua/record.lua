-- record(args: set?, hash?, remove?, add?, take?, wake?): store or drop plain records together with their audit entry
for name, value in pairs(args.set or {}) do
  redis.call('SET', key(name), value)
  if name:find('^document:') or name:find('^issue:') then redis.call('ZADD', key('contents'), int(now), name) end
end
for name, fields in pairs(args.hash or {}) do
  if redis.call('TYPE', key(name)).ok ~= 'hash' then redis.call('DEL', key(name)) end -- somebody else wrote there
  redis.call('HSET', key(name), unpack(fields))
end
for _, name in ipairs(args.remove or {}) do redis.call('DEL', key(name)) end
for name, member in pairs(args.add or {}) do redis.call('SADD', key(name), member) end
for name, member in pairs(args.take or {}) do redis.call('SREM', key(name), member) end
audit()
if args.wake then wake() end
return {'ok'}
