-- followed_seen(args: subject, delivered_ms, remote, detail, ticket?): keep how a ticket reads on the remote side, unless it was delivered meanwhile; with `ticket` its producer is told
local subject = key('subject', args.subject)
local facts = redis.call('HMGET', subject, 'delivered_ms', 'running', 'delivered_by')
if facts[2] or facts[1] ~= args.delivered_ms then return {'refused', 'moved'} end
redis.call('HSET', subject, 'remote', args.remote)
local job = facts[3]
if args.ticket and job and get(job, 'state') then
  note(job, entry.event, args.detail)
  announce(job, get(job, 'state'), args.ticket)
end
audit()
wake()
return {'ok'}
