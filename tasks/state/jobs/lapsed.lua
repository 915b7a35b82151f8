-- lapsed(args: batch): running jobs whose lease ran out or whose worker stopped its heartbeat; notes how many that one ran, and lets others tell the ends that it was to tell
-- with jobs/silence
-- with upkeep/untold
if not can_tell() then return {} end
local found = redis.call('ZRANGEBYSCORE', key('leases'), '-inf', int(now), 'LIMIT', 0, args.batch)
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', key('workers'), '-inf', int(now))) do
  untold_by(worker)
  local jobs = redis.call('SRANDMEMBER', key('worker', worker, 'jobs'), args.batch)
  local running = redis.call('SCARD', key('worker', worker, 'jobs'))
  if running > 0 then redis.call('SET', key('worker', worker, 'ran'), running, 'NX', 'PX', 60000) end
  for _, id in ipairs(jobs) do found[#found + 1] = id end
  if #jobs == 0 then
    redis.call('ZREM', key('workers'), worker)
    redis.call('HDEL', key('workers', 'about'), worker)
  end
end
return found
