-- figures(args: -): what the metrics show, in one look: by destination, the counters, the audit's length
local destinations = {}
for _, name in ipairs(redis.call('SMEMBERS', key('destinations'))) do destinations[name] = true end
for _, name in ipairs(redis.call('SMEMBERS', key('waiting'))) do destinations[name] = true end

local queues = {}
for name in pairs(destinations) do
  local due = key('due', name)
  local oldest = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
  queues[#queues + 1] = {
    name,
    redis.call('ZCOUNT', due, '-inf', int(now)),
    oldest[2] and math.max(0, now - tonumber(oldest[2])) or 0,
    redis.call('ZCOUNT', key('sent', name), '(' .. int(now), '+inf'),
    redis.call('ZCARD', key('running', name)),
  }
end

local newest = redis.call('XREVRANGE', key('audit'), '+', '-', 'COUNT', 1)
local oldest = redis.call('XRANGE', key('audit'), '-', '+', 'COUNT', 1)
local audit_facts = {redis.call('XLEN', key('audit')), redis.call('HLEN', key('audit', 'heads')),
  oldest[1] and oldest[1][1] or '', newest[1] and newest[1][1] or ''}
return {int(now), queues, redis.call('HGETALL', key('metrics')), audit_facts}
