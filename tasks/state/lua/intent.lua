-- intent(args: id, token, writes, doubt_until_ms, tried?): permit one request of a job that is still ours
local id = args.id
if get(id, 'state') ~= 'running' or tonumber(get(id, 'token')) ~= args.token then return {'refused', 'fenced'} end
if args.writes then
  redis.call('HSET', key('subject', get(id, 'subject')), 'doubt_until_ms', int(args.doubt_until_ms))
  if args.tried then redis.call('HSET', key('subject', get(id, 'subject')), 'tried', args.tried) end
end
redis.call('HSET', job_key(id), 'open_intent', entry.chain .. '/' .. entry.seq)
audit()
return {'ok'}
