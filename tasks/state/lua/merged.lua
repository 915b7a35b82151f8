-- merged(): what the frequent transitions call `redis`: reads a record once, keeps writes back and makes them together in `write_all`
-- So several in one script cost little more than one. A write that is kept back has no answer but that of a `WHOLE` hash.
local server = redis
local redis = {pcall = server.pcall, sha1hex = server.sha1hex}

-- hashes of a few fields, read as a whole at the first look: by the first word of their keys, or all of it
local WHOLE = {job = true, subject = true, destination = true, traffic = true, apikey = true, rate = true, grant = true}
local WHOLE_KEY = {ledger = true, look_first = true}
local READS = {HGET = 1, HMGET = 1, HGETALL = 1, ZRANGE = 1, ZREVRANGE = 1, XRANGE = 1, XREVRANGE = 1}
local REMEMBERED = {EXISTS = 1, GET = 1, SMEMBERS = 1, ZCARD = 1, ZCOUNT = 1}
local ONE_KEY = {SET = 1, ZADD = 1, ZREM = 1, ZREMRANGEBYSCORE = 1, ZINCRBY = 1, LTRIM = 1}
local MOST = 1000 -- arguments of one command

local whole, records, answers, kept, touched, said = {}, {}, {}, {}, {}, {}

local function is_whole(place)
  if whole[place] == nil then
    local name = string.sub(place, #ARGV[1] + 2)
    local listed = string.sub(name, -7) == ':events'
    whole[place] = WHOLE_KEY[name] or (not listed and WHOLE[string.match(name, '^%w+')]) or false
  end
  return whole[place]
end

-- a number as Redis would store it
local function stored(value)
  if type(value) ~= 'number' then return value end
  return string.format(value == math.floor(value) and math.abs(value) < 2 ^ 53 and '%d' or '%.17g', value)
end

-- what is kept back for a key, under one of the names that `write` knows
local function keep(place, name)
  if not kept[place] then
    kept[place] = {}
    touched[#touched + 1] = place
  end
  if not kept[place][name] then kept[place][name] = {} end
  answers[place] = nil
  return kept[place][name]
end

local function many(command, place, parts)
  for from = 1, #parts, MOST do server.call(command, place, unpack(parts, from, math.min(from + MOST - 1, #parts))) end
end

-- by member or field: a value to set, or false to take it away
local function both(place, changes, add, take, with)
  local added, taken = {}, {}
  for name, value in pairs(changes) do
    if value == false then taken[#taken + 1] = name
    elseif with == 'score' then added[#added + 1], added[#added + 2] = value, name
    elseif with == 'value' then added[#added + 1], added[#added + 2] = name, value
    else added[#added + 1] = name end
  end
  many(take, place, taken)
  many(add, place, added)
end

local function write(place)
  local back = kept[place]
  if not back then return end
  kept[place], answers[place] = nil, nil
  if back.fields then both(place, back.fields, 'HSET', 'HDEL', 'value') end
  for field, by in pairs(back.sums or {}) do server.call('HINCRBY', place, field, by) end
  if back.scores then both(place, back.scores, 'ZADD', 'ZREM', 'score') end
  if back.members then both(place, back.members, 'SADD', 'SREM') end
  for _, parts in ipairs(back.entries or {}) do server.call('XADD', place, unpack(parts)) end
  if back.pushed then
    local length = server.call('RPUSH', place, unpack(back.pushed))
    if back.trim and length > -back.trim[1] then server.call('LTRIM', place, back.trim[1], -1) end
  end
  if back.life then server.call('PEXPIRE', place, back.life[1]) end
end

-- the audit comes last: no entry of what was not done, and its head with it
local function write_all()
  local last = {}
  for _, place in ipairs(touched) do
    if string.find(place, ':audit', #ARGV[1] + 1, true) == #ARGV[1] + 1 then last[#last + 1] = place else write(place) end
  end
  for _, place in ipairs(last) do write(place) end
  for channel, word in pairs(said) do server.call('PUBLISH', channel, word) end
  touched, said = {}, {}
end

local function forget(place) records[place], answers[place] = nil, nil end

-- a hash as it will be, with what is kept back
local function record(place)
  local is = records[place]
  if is then return is end
  is = {}
  local flat = server.call('HGETALL', place)
  for i = 1, #flat, 2 do is[flat[i]] = flat[i + 1] end
  for field, value in pairs(kept[place] and kept[place].fields or {}) do is[field] = value or nil end
  records[place] = is
  return is
end

local function set(place, field, value)
  local is = records[place]
  if is and is[field] == value then return end
  if is then is[field] = value end
  keep(place, 'fields')[field] = value
end

local calls = {}

-- a form of a command that isn't kept back would be narrowed in silence: it is a fault of ours, and the script fails
local function only(fits, command)
  if not fits then error(command .. ' in a form that merged.lua does not keep back') end
end

function calls.HGET(place, field)
  if is_whole(place) then return record(place)[field] or false end
end

function calls.HMGET(place, ...)
  if not is_whole(place) then return end
  local is, found = record(place), {}
  for at, field in ipairs({...}) do found[at] = is[field] or false end
  return found
end

function calls.HGETALL(place)
  if not is_whole(place) then return end
  local flat = {}
  for field, value in pairs(record(place)) do flat[#flat + 1], flat[#flat + 2] = field, value end
  return flat
end

function calls.EXISTS(place, more)
  if not more and is_whole(place) then return next(record(place)) and 1 or 0 end
end

function calls.HSET(place, ...)
  local parts = {...}
  for at = 1, #parts do only(parts[at] and #parts % 2 == 0, 'HSET') end
  if kept[place] and kept[place].sums then write(place) end
  for at = 1, #parts, 2 do set(place, stored(parts[at]), stored(parts[at + 1])) end
  return true
end

function calls.HDEL(place, ...)
  if kept[place] and kept[place].sums then write(place) end
  local is, gone = is_whole(place) and record(place), 0
  for _, field in ipairs({...}) do
    if not is or is[field] then
      if is then is[field] = nil end
      keep(place, 'fields')[field], gone = false, gone + 1
    end
  end
  return gone
end

function calls.HINCRBY(place, field, by)
  if is_whole(place) then
    local sum = (tonumber(record(place)[field]) or 0) + by
    set(place, field, stored(sum))
    return sum
  end
  if kept[place] and kept[place].fields then write(place) end
  local sums = keep(place, 'sums')
  sums[field] = (sums[field] or 0) + by
  return true
end

function calls.ZADD(place, score, member, more)
  if more or not tonumber(score) then return end
  keep(place, 'scores')[member] = stored(score)
  return true
end

function calls.ZREM(place, member, more)
  if more then return end
  keep(place, 'scores')[member] = false
  return true
end

-- nothing is written for this one: who closes an intent twice must not do so because a neighbour failed between
function calls.ZSCORE(place, member)
  local score = kept[place] and kept[place].scores and kept[place].scores[member]
  if score ~= nil then return score end
  return server.call('ZSCORE', place, member)
end

function calls.SADD(place, member, more)
  only(member and not more, 'SADD')
  keep(place, 'members')[member] = true
  return true
end

function calls.SREM(place, member, more)
  only(member and not more, 'SREM')
  keep(place, 'members')[member] = false
  return true
end

function calls.XADD(place, ...)
  local entries = keep(place, 'entries')
  entries[#entries + 1] = {...}
  return true
end

function calls.RPUSH(place, text, more)
  only(text and not more, 'RPUSH')
  if kept[place] and kept[place].trim then write(place) end
  local pushed = keep(place, 'pushed')
  pushed[#pushed + 1] = text
  return true
end

function calls.LTRIM(place, first, last)
  if not (kept[place] and kept[place].pushed) then return end
  only(first < 0 and last == -1, 'LTRIM')
  keep(place, 'trim')[1] = first
  return true
end

function calls.PEXPIRE(place, life)
  keep(place, 'life')[1] = life
  return true
end

-- of several words on one channel none is heard: whoever listens looks for himself
function calls.PUBLISH(channel, word)
  said[channel] = (said[channel] or word) == word and word or '1'
  return true
end

function redis.call(command, place, ...)
  local answer = calls[command]
  if answer then answer = answer(place, ...) end
  if answer ~= nil then return answer end
  if REMEMBERED[command] and place then
    local question = table.concat({command, ...}, ' ')
    write(place)
    answers[place] = answers[place] or {}
    if answers[place][question] == nil then answers[place][question] = server.call(command, place, ...) end
    return answers[place][question]
  end
  if READS[command] then
    write(place)
  elseif command == 'ZUNIONSTORE' then -- of two sets of its own
    for _, other in ipairs({place, select(2, ...)}) do
      write(other)
      forget(other)
    end
  elseif ONE_KEY[command] or (command == 'DEL' and select('#', ...) == 0) then
    write(place)
    forget(place)
  elseif command ~= 'TIME' then -- whatever it does: all is written before it, and read anew after it
    write_all()
    records, answers = {}, {}
  end
  if place == nil then return server.call(command) end
  return server.call(command, place, ...)
end
