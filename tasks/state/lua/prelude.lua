-- prelude(ARGV: prefix, entry, args): what every transition shares; an entry that isn't its chain's next is refused
local prefix = ARGV[1]
local entry = ARGV[2] ~= '' and cjson.decode(ARGV[2]) or nil
local args = cjson.decode(ARGV[3])

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local function int(number) return string.format('%d', number) end

local function key(...) return prefix .. ':' .. table.concat({...}, ':') end

local function job_key(id) return key('job', id) end

-- facts of a job that no transition changes but where it says so (`forget_facts`): read once a script
local FIXED, facts = {'destination', 'kind', 'subject', 'order', 'content', 'issue', 'family', 'follows'}, {}
local function forget_facts(id) facts[id] = nil end
local fixed = {}
for place, name in ipairs(FIXED) do fixed[name] = place end

local function get(id, field)
  local place = fixed[field]
  if not place then return redis.call('HGET', job_key(id), field) end
  if not facts[id] then facts[id] = redis.call('HMGET', job_key(id), unpack(FIXED)) end
  return facts[id][place]
end

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

-- Counters for the metrics. Destinations that don't exist share an empty name, so that producers can't grow the hash.
local configured = {}
local function tally(id, by, ...)
  local destination = get(id, 'destination')
  if configured[destination] == nil then configured[destination] = redis.call('EXISTS', key('destination', destination)) end
  if configured[destination] == 0 then destination = '' end
  redis.call('HINCRBY', key('metrics'), table.concat({destination, ...}, ' '), int(by))
end

local ATTEMPT_BOUNDS_MS = {100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 180000}

local function tally_attempt(id, started_ms)
  local took = math.max(0, now - started_ms)
  local bucket = 'inf'
  for i = #ATTEMPT_BOUNDS_MS, 1, -1 do
    if took <= ATTEMPT_BOUNDS_MS[i] then bucket = int(ATTEMPT_BOUNDS_MS[i]) end
  end
  tally(id, 1, 'attempt', args.to, bucket)
  tally(id, took, 'attempt_ms', args.to)
end

-- an outcome that its producer wants to hear of joins the outbox in the very transition that made it
local function announce(id, state)
  local facts = redis.call('HMGET', job_key(id), 'callback_url', 'callback_origin', 'callback_key', 'receipt', 'last_error', 'superseded_by', 'command', 'destination')
  if not facts[1] then return end
  local message = 'msg_' .. id .. '_' .. redis.call('HINCRBY', job_key(id), 'outcomes', 1)
  redis.call('HSET', key('callback', message), 'job', id, 'state', state, 'at_ms', int(now), 'url', facts[1], 'origin', facts[2],
    'apikey', facts[3], 'receipt', facts[4] or '', 'last_error', facts[5] or '', 'superseded_by', facts[6] or '',
    'command', facts[7], 'destination', facts[8])
  redis.call('ZADD', key('callbacks', facts[2]), int(now), message)
  redis.call('SADD', key('callbacks'), facts[2])
end

local ends = {delivered = true, dead = true, cancelled = true, superseded = true}

local function enter(id, state)
  local facts = redis.call('HMGET', job_key(id), 'state', 'destination', 'created_ms')
  local from, destination, created = facts[1], facts[2], facts[3]
  if from then
    redis.call('ZREM', key('state', from), id)
    redis.call('ZREM', key('state', from, destination), id)
  else
    tally(id, 1, 'submitted')
  end
  tally(id, 1, 'entered', state)
  redis.call('ZADD', key('state', state), created, id)
  redis.call('ZADD', key('state', state, destination), created, id)
  redis.call('HSET', job_key(id), 'state', state, 'updated_ms', int(now))
  if ends[state] then announce(id, state) end
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
  local started_ms = redis.call('ZSCORE', key('running', destination), id)
  if started_ms then tally_attempt(id, tonumber(started_ms)) end
  redis.call('ZREM', key('leases'), id)
  redis.call('ZREM', key('running', destination), id)
  if worker then redis.call('SREM', key('worker', worker, 'jobs'), id) end
  redis.call('HDEL', job_key(id), 'worker', 'claim')
  local subject = key('subject', get(id, 'subject'))
  if redis.call('HGET', subject, 'running') == id then redis.call('HDEL', subject, 'running') end
end

local function wake() redis.call('PUBLISH', key('wake'), '1') end

-- whoever waits for the job in Celery is told of this end, once, by the first worker that takes it from here
local function tell(id) redis.call('ZADD', key('telling'), int(now), id) end

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
  -- Siblings often come seconds apart: links are looked at once nothing has ended for this long.
  if issue then redis.call('ZADD', key('links', 'pending'), int(now + 10000), issue) end
end
