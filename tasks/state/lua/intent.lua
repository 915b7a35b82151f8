-- intent(args: id, token?, stage, writes, doubt_until_ms?): permit one request, of a job that is still ours or of no job
local id = args.id
if id ~= '' then
  if get(id, 'state') ~= 'running' or tonumber(get(id, 'token')) ~= args.token then return {'refused', 'fenced'} end
  if args.writes then
    redis.call('HSET', key('subject', get(id, 'subject')), 'doubt_until_ms', int(args.doubt_until_ms))
  end
end
local intent = entry.chain .. '/' .. entry.seq
redis.call('ZADD', key('intents'), int(now), intent)
redis.call('HSET', key('intents', 'of'), intent, cjson.encode({id = id, token = args.token, stage = args.stage}))
audit()
return {'ok'}
