-- keep(args: id, fields, size, kind, most, most_bytes): put a message that was set aside into the dead list; the oldest make room
local list, facts = key('asides'), key('asides', 'facts')
local record = key('aside', args.id)
redis.call('HSET', record, unpack(args.fields))
redis.call('HSET', record, 'at_ms', int(now), 'size', int(args.size))
redis.call('ZADD', list, int(now), args.id)
redis.call('HINCRBY', facts, 'kind ' .. args.kind, 1)
local bytes = redis.call('HINCRBY', facts, 'bytes', int(args.size))
while bytes > args.most_bytes or redis.call('ZCARD', list) > args.most do
  local oldest = redis.call('ZPOPMIN', list)[1]
  if not oldest then break end
  local gone = tonumber(redis.call('HGET', key('aside', oldest), 'size') or 0)
  redis.call('DEL', key('aside', oldest))
  bytes = redis.call('HINCRBY', facts, 'bytes', int(-gone))
end
audit()
return {'ok'}
