-- trim(args: kind, before_ms, names): forget finished jobs, or contents and subjects that no unfinished job needs
local function forget_job(id)
  local facts = redis.call('HMGET', job_key(id), 'state', 'destination', 'idempotency', 'cause', 'terms')
  redis.call('ZREM', key('jobs'), id)
  redis.call('ZREM', key('ids'), id)
  redis.call('ZREM', key('jobs', facts[2]), id)
  redis.call('ZREM', key('state', facts[1]), id)
  redis.call('ZREM', key('state', facts[1], facts[2]), id)
  if facts[4] then ungroup(id, facts[1], facts[2], facts[4]) end
  for term in (facts[5] or ''):gmatch(('.'):rep(12)) do redis.call('ZREM', key('find', term), id) end
  redis.call('SREM', key('told'), id)
  redis.call('ZREM', key('telling'), id)
  -- a key that was forgotten by its own age may have made a newer job since
  local mark = facts[3] and key('idempotency', facts[3])
  if mark and redis.call('HGET', mark, 'job') == id then redis.call('DEL', mark) end
  redis.call('DEL', job_key(id), key('job', id, 'events'))
end

local function forget_subject(name)
  local facts = redis.call('HMGET', key(name), 'issue', 'followed')
  local subject, issue = name:sub(#'subject:' + 1), facts[1]
  if facts[2] then redis.call('ZREM', key('followed', facts[2]), subject) end
  if issue then
    redis.call('SREM', key('links', issue, 'subjects'), subject)
    redis.call('HDEL', key('links', issue), subject)
  end
  redis.call('DEL', key(name))
end

local jobs = args.kind == 'finished:done' or args.kind == 'finished:dead'
for _, name in ipairs(args.names) do
  local at = tonumber(redis.call('ZSCORE', key(args.kind), name) or now)
  if at <= args.before_ms and redis.call('EXISTS', key('needs', name)) == 0 then
    redis.call('ZREM', key(args.kind), name)
    if jobs then forget_job(name)
    elseif args.kind == 'subjects' then forget_subject(name)
    else redis.call('DEL', key(name)) end
  end
end
audit()
return {'ok'}
