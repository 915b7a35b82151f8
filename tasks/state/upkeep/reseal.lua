-- reseal(args: changes: {key, field?, sha1, record}[], cursor): put records sealed anew in the place of those that nobody changed since they were read
for _, change in ipairs(args.changes) do
  local before
  if change.field then before = redis.call('HGET', change.key, change.field) else before = redis.call('GET', change.key) end
  if before and redis.sha1hex(before) == change.sha1 then
    if change.field then
      redis.call('HSET', change.key, change.field, change.record)
    else
      redis.call('SET', change.key, change.record, 'KEEPTTL')
    end
  end
end
redis.call('HSET', key('rotation'), 'cursor', args.cursor)
audit()
return {'ok'}
