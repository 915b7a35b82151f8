-- prelude(ARGV: prefix): what all scripts share; `entry` is the audit entry of the transition that runs, `args` are what it is given
local prefix = ARGV[1]
local entry, args, head -- of a transition, and the head of the chain that it continues

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local function int(number) return string.format('%d', number) end

local function key(...) return prefix .. ':' .. table.concat({...}, ':') end

local function job_key(id) return key('job', id) end

-- facts of a job that no transition changes but where it says so (`forget_facts`): read once a script
local FIXED, facts = {'destination', 'kind', 'subject', 'order', 'content', 'issue', 'family', 'follows', 'not_before_ms'}, {}
local function forget_facts() facts = {} end
local fixed = {}
for place, name in ipairs(FIXED) do fixed[name] = place end

local function get(id, field)
  local place = fixed[field]
  if not place then return redis.call('HGET', job_key(id), field) end
  if not facts[id] then facts[id] = redis.call('HMGET', job_key(id), unpack(FIXED)) end
  return facts[id][place]
end

-- whether what a process has seen (an audit entry, by its moment) isn't here any more, and wasn't trimmed either
local function lost(seen)
  if not seen or seen == '0' or #redis.call('XRANGE', key('audit'), seen, seen, 'COUNT', 1) > 0 then return false end
  local first = redis.call('XRANGE', key('audit'), '-', '+', 'COUNT', 1)[1]
  local trimmed = first and tonumber(string.match(first[1], '^%d+')) > tonumber(seen)
  return not (trimmed and redis.call('EXISTS', key('audit', 'base')) == 1)
end

local function audit()
  redis.call('XADD', key('audit'), '*', 'chain', entry.chain, 'seq', entry.seq, 'at', entry.at,
    'event', entry.event, 'data', entry.data, 'key', entry.key, 'mac', entry.mac)
  head = entry.seq .. ':' .. entry.mac
  redis.call('HSET', key('audit', 'heads'), entry.chain, head)
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
local function known_as(destination)
  if configured[destination] == nil then configured[destination] = redis.call('EXISTS', key('destination', destination)) end
  return configured[destination] == 1 and destination or ''
end

local function tally(id, by, ...)
  redis.call('HINCRBY', key('metrics'), table.concat({known_as(get(id, 'destination')), ...}, ' '), int(by))
end

-- The overview's history: counts in slots of five minutes, kept for eight days, so constant in size however many jobs there are.
local SLOT_MS, SLOTS_KEPT_MS = 300000, 8 * 86400000
local function count(id, ...)
  local destination = get(id, 'destination')
  if known_as(destination) == '' then return end
  local slot = key('history', int(now - now % SLOT_MS))
  redis.call('HINCRBY', slot, table.concat({destination, ...}, ' '), 1)
  redis.call('PEXPIRE', slot, SLOTS_KEPT_MS)
end

local DELIVERY_BOUNDS_MS = {500, 1000, 2000, 5000, 10000, 30000, 60000, 300000, 900000, 3600000, 21600000}

local function bucket_of(took, bounds)
  for _, bound in ipairs(bounds) do if took <= bound then return int(bound) end end
  return 'inf'
end

local ATTEMPT_BOUNDS_MS = {100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 180000}

local function tally_attempt(id, started_ms)
  local took = math.max(0, now - started_ms)
  tally(id, 1, 'attempt', args.to, bucket_of(took, ATTEMPT_BOUNDS_MS))
  tally(id, took, 'attempt_ms', args.to)
end

-- an outcome that its producer wants to hear of joins the outbox in the very transition that made it
local function announce(id, state, ticket)
  local facts = redis.call('HMGET', job_key(id), 'callback_url', 'callback_origin', 'callback_key', 'receipt', 'last_error', 'superseded_by', 'command', 'destination')
  if not facts[1] then return end
  local message = 'msg_' .. id .. '_' .. redis.call('HINCRBY', job_key(id), 'outcomes', 1)
  redis.call('HSET', key('callback', message), 'job', id, 'state', state, 'at_ms', int(now), 'url', facts[1], 'origin', facts[2],
    'apikey', facts[3], 'receipt', facts[4] or '', 'last_error', facts[5] or '', 'superseded_by', facts[6] or '',
    'command', facts[7], 'destination', facts[8], 'ticket', ticket or '')
  redis.call('ZADD', key('callbacks', facts[2]), int(now), message)
  redis.call('SADD', key('callbacks'), facts[2])
end

local ends = {delivered = true, dead = true, cancelled = true, superseded = true}

-- what a job is found by: keyed digests of words, each twelve characters, so that Redis holds none of the words
local function found_by(id, terms)
  local before, created = get(id, 'terms') or '', redis.call('HGET', job_key(id), 'created_ms')
  local new = {}
  for _, term in ipairs(terms or {}) do
    if not before:find(term, 1, true) then
      redis.call('ZADD', key('find', term), created, id)
      new[#new + 1] = term
    end
  end
  if #new > 0 then redis.call('HSET', job_key(id), 'terms', before .. table.concat(new)) end
end

-- jobs that wait, are held or ended because of an error are grouped by it: its code, and the status if there was one
local TROUBLED = {retrying = true, held = true, dead = true}

local function ungroup(id, state, destination, cause)
  redis.call('ZREM', key('cause', state, cause), id)
  redis.call('ZREM', key('cause', state, cause, destination), id)
  if redis.call('EXISTS', key('cause', state, cause)) == 0 then redis.call('SREM', key('causes', state), cause) end
  redis.call('HDEL', job_key(id), 'cause')
end

local function group(id, state, destination, created, last_error)
  local error = cjson.decode(last_error)
  local cause = error.code
  if type(error.status) == 'number' then cause = cause .. ' ' .. int(error.status) end
  redis.call('HSET', job_key(id), 'cause', cause)
  redis.call('SADD', key('causes', state), cause)
  redis.call('ZADD', key('cause', state, cause), created, id)
  redis.call('ZADD', key('cause', state, cause, destination), created, id)
end

local function enter(id, state)
  local facts = redis.call('HMGET', job_key(id), 'state', 'destination', 'created_ms', 'cause', 'last_error')
  local from, destination, created = facts[1], facts[2], facts[3]
  if from then
    redis.call('ZREM', key('state', from), id)
    redis.call('ZREM', key('state', from, destination), id)
    if facts[4] then ungroup(id, from, destination, facts[4]) end
  else
    tally(id, 1, 'submitted')
    count(id, 'submitted')
  end
  if TROUBLED[state] and facts[5] then group(id, state, destination, created, facts[5]) end
  tally(id, 1, 'entered', state)
  if state ~= 'queued' and state ~= 'running' then count(id, state) end
  if state == 'delivered' then
    count(id, 'took', bucket_of(math.max(0, now - tonumber(created)), DELIVERY_BOUNDS_MS))
  end
  redis.call('ZADD', key('state', state), created, id)
  redis.call('ZADD', key('state', state, destination), created, id)
  redis.call('HSET', job_key(id), 'state', state, 'updated_ms', int(now))
  if ends[state] then announce(id, state) end
end

-- whatever wakes a job, it isn't due before its producer wants it to begin
local function wait_until(id, due_ms)
  local destination = get(id, 'destination')
  due_ms = math.max(due_ms, tonumber(get(id, 'not_before_ms') or 0))
  redis.call('SADD', key('waiting'), destination)
  redis.call('ZADD', key('due', destination), int(due_ms), id)
  redis.call('HSET', job_key(id), 'due_ms', int(due_ms))
end

local function stop_waiting(id)
  local destination = get(id, 'destination')
  redis.call('ZREM', key('due', destination), id)
  redis.call('ZREM', key('sent', destination), id)
  redis.call('ZREM', key('stalled', destination), id)
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

-- whoever waits looks again; `word` names a job that may begin now, by its kind and id, for a worker that has nothing to do
local function wake(word) redis.call('PUBLISH', key('wake'), word or '1') end

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
