-- causes(args: state, destination): each cause of trouble in a state, how many jobs have it, and the oldest's and the newest's id and submission time
local found = {}
for _, cause in ipairs(redis.call('SMEMBERS', key('causes', args.state))) do
  local index = args.destination ~= '' and key('cause', args.state, cause, args.destination) or key('cause', args.state, cause)
  local newest = redis.call('ZREVRANGE', index, 0, 0, 'WITHSCORES')
  local oldest = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')
  if newest[1] then
    found[#found + 1] = {cause, redis.call('ZCARD', index), int(tonumber(oldest[2])), newest[1], int(tonumber(newest[2]))}
  end
end
return found
