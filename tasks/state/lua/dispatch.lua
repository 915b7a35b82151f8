-- dispatch(args: resend_ms, batch): the jobs whose time has come and for which their destination has room, oldest first
local sent = {}
for _, destination in ipairs(redis.call('SMEMBERS', key('waiting'))) do
  local due, flying = key('due', destination), key('sent', destination)
  local facts = redis.call('HMGET', key('destination', destination), 'state', 'not_before_ms', 'concurrency')
  if redis.call('ZCARD', due) == 0 then
    redis.call('SREM', key('waiting'), destination)
  elseif (not facts[1] or facts[1] == 'ready') and tonumber(facts[2] or 0) <= now then
    redis.call('ZREMRANGEBYSCORE', flying, '-inf', int(now))
    local room = tonumber(facts[3] or 8) - redis.call('ZCARD', key('running', destination)) - redis.call('ZCARD', flying)
    room = math.min(room, args.batch - #sent)
    if room > 0 then
      for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', int(now), 'LIMIT', 0, room)) do
        local sends = redis.call('HINCRBY', job_key(id), 'sends', 1)
        local again = now + args.resend_ms * math.min(2 ^ (sends - 1), 4)
        redis.call('ZADD', due, int(again), id)
        redis.call('ZADD', flying, int(again), id)
        sent[#sent + 1] = id
      end
    end
  end
end
return sent
