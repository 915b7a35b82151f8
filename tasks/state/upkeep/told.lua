-- told(args: worker, ends: {id, updated_ms}[], untold: id[], pause_ms): these ends are told, with all that hung on them; a job that went on and ended again since it was read isn't. What couldn't be told is tried again after a pause
local done = {}
for _, seen in ipairs(args.ends) do
  local is = redis.call('HMGET', job_key(seen[1]), 'updated_ms', 'state', 'origin')
  if not is[1] or is[1] == seen[2] then
    done[#done + 1] = seen[1]
    if is[3] and ends[is[2] or ''] then
      redis.call('HDEL', job_key(seen[1]), 'origin')
      redis.call('HSET', job_key(seen[1]), 'origin_told', 1)
    end
  else
    redis.call('ZADD', key('telling'), int(now), seen[1])
  end
end
if #done > 0 then redis.call('ZREM', key('telling'), unpack(done)) end
for _, id in ipairs(args.untold) do redis.call('ZADD', key('telling'), 'XX', int(now + args.pause_ms), id) end
redis.call('DEL', key('worker', args.worker, 'tells'))
