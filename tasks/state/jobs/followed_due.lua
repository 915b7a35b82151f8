-- followed_due(args: destination, batch, every_ms): the tickets whose turn it is to be looked at, each put off by `every_ms`: {subject, receipt, seal, wrote, remote, delivered_ms, about}
local due, found = key('followed', args.destination), {}
for _, subject in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', int(now), 'LIMIT', 0, args.batch)) do
  local facts = redis.call('HMGET', key('subject', subject), 'receipt', 'receipt_seal', 'wrote', 'remote', 'delivered_ms', 'about', 'running')
  if facts[1] then
    redis.call('ZADD', due, int(now + args.every_ms), subject)
    if not facts[7] then
      local row = {subject}
      for place = 1, 6 do row[#row + 1] = facts[place] or '' end
      found[#found + 1] = row
    end
  else redis.call('ZREM', due, subject) end -- forgotten
end
return found
