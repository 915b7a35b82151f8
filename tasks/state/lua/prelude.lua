-- prelude(ARGV: prefix, entry, args): what every transition shares; an entry that isn't its chain's next is refused
local prefix = ARGV[1]
local entry = ARGV[2] ~= '' and cjson.decode(ARGV[2]) or nil
local args = cjson.decode(ARGV[3])

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local function int(number) return string.format('%d', number) end

local function key(...) return prefix .. ':' .. table.concat({...}, ':') end

local function job_key(id) return key('job', id) end

local function get(id, field) return redis.call('HGET', job_key(id), field) end

if entry and (redis.call('HGET', key('audit', 'heads'), entry.chain) or '') ~= entry.prev then
  return {'chain'}
end

local function audit()
  redis.call('XADD', key('audit'), '*', 'chain', entry.chain, 'seq', entry.seq, 'at', entry.at,
    'event', entry.event, 'data', entry.data, 'key', entry.key, 'mac', entry.mac)
  redis.call('HSET', key('audit', 'heads'), entry.chain, entry.seq .. ':' .. entry.mac)
end

local function note(id, event, detail)
  detail = detail or {}
  detail.at_ms = now
  detail.event = event
  local events = key('job', id, 'events')
  redis.call('RPUSH', events, cjson.encode(detail))
  redis.call('LTRIM', events, -200, -1)
end

local function enter(id, state)
  local facts = redis.call('HMGET', job_key(id), 'state', 'destination', 'created_ms')
  local from, destination, created = facts[1], facts[2], facts[3]
  if from then
    redis.call('ZREM', key('state', from), id)
    redis.call('ZREM', key('state', from, destination), id)
  end
  redis.call('ZADD', key('state', state), created, id)
  redis.call('ZADD', key('state', state, destination), created, id)
  redis.call('HSET', job_key(id), 'state', state, 'updated_ms', int(now))
end

local function wait_until(id, due_ms)
  local destination = get(id, 'destination')
  redis.call('SADD', key('waiting'), destination)
  redis.call('ZADD', key('due', destination), int(due_ms), id)
  redis.call('HSET', job_key(id), 'due_ms', int(due_ms))
end

local function stop_waiting(id)
  local destination = get(id, 'destination')
  redis.call('ZREM', key('due', destination), id)
  redis.call('ZREM', key('sent', destination), id)
  redis.call('HDEL', job_key(id), 'due_ms', 'sends')
end

local function let_go(id)
  local destination, worker = get(id, 'destination'), get(id, 'worker')
  redis.call('ZREM', key('leases'), id)
  redis.call('ZREM', key('running', destination), id)
  if worker then redis.call('SREM', key('worker', worker, 'jobs'), id) end
  redis.call('HDEL', job_key(id), 'worker', 'claim')
  local subject = key('subject', get(id, 'subject'))
  if redis.call('HGET', subject, 'running') == id then redis.call('HDEL', subject, 'running') end
end

local function wake() redis.call('PUBLISH', key('wake'), '1') end

local function tell(id) redis.call('SADD', key('told'), id) end

-- What an unfinished job needs stays: its document or issue, and what is known of its subject.
local function needed(id)
  local facts = redis.call('HMGET', job_key(id), 'content', 'subject', 'family')
  local names = {{'subjects', 'subject:' .. facts[2]}}
  if facts[1] then names[#names + 1] = {'contents', facts[1]} end
  if facts[3] then names[#names + 1] = {'subjects', 'subject:' .. facts[3]} end
  return names
end

local function need(id)
  for _, part in ipairs(needed(id)) do
    redis.call('SADD', key('needs', part[2]), id)
    redis.call('ZADD', key(part[1]), int(now), part[2])
  end
end

local function finish(id, state)
  redis.call('ZADD', key('finished', state == 'dead' and 'dead' or 'done'), int(now), id)
  for _, part in ipairs(needed(id)) do
    redis.call('SREM', key('needs', part[2]), id)
    redis.call('ZADD', key(part[1]), int(now), part[2])
  end
  local issue = get(id, 'issue')
  if issue then redis.call('ZADD', key('links', 'pending'), int(now), issue) end
end
