-- links_due(args: batch, ahead_ms): issues whose objects may lack links: {issue, score, members as JSON pairs, busy subjects}
local found = {}
for _, issue in ipairs(redis.call('ZRANGEBYSCORE', key('links', 'pending'), '-inf', int(now + args.ahead_ms), 'LIMIT', 0, args.batch)) do
  local members = redis.call('HGETALL', key('links', issue))
  if #members == 0 or #members == 2 and string.find(members[2], '"shows":[]', 1, true) then
    redis.call('ZREM', key('links', 'pending'), issue) -- nothing to link yet; whoever joins marks it anew
  else
    local busy = {}
    for _, subject in ipairs(redis.call('SMEMBERS', key('links', issue, 'subjects'))) do
      local jobs = redis.call('HMGET', key('subject', subject), 'waiting', 'running')
      for place = 1, 2 do
        if jobs[place] then
          local facts = redis.call('HMGET', job_key(jobs[place]), 'created_ms', 'follows')
          busy[#busy + 1] = {subject, tonumber(facts[1] or 0), facts[2] and 1 or 0}
        end
      end
    end
    local score = redis.call('ZSCORE', key('links', 'pending'), issue)
    found[#found + 1] = {issue, score, cjson.encode(members), #busy > 0 and cjson.encode(busy) or '[]', int(now)}
  end
end
return found
