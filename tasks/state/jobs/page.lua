-- page(args: indexes, at, after, least, limit, most, patience, whole, sample, met): jobs that stand in every index, with their submission times, newest first, behind a place
-- Answers the ids and times, and the place to go on from: empty at the end. It looks at `most` jobs of the smallest index at most.
-- After `patience` of them, `whole` at most in that index are intersected in one command, if `met` at most seem to be in all,
-- by a `sample` of its jobs.
local cards = {}
for _, index in ipairs(args.indexes) do cards[index] = redis.call('ZCARD', index) end
table.sort(args.indexes, function(one, other) return cards[one] < cards[other] end)
local walked = table.remove(args.indexes, 1)

local function submitted(id) return int(tonumber(redis.call('ZSCORE', walked, id))) end

-- which of these ids stand in every other index as well, by id
local function in_all(ids)
  for _, index in ipairs(args.indexes) do
    if #ids == 0 then break end
    local kept, scores = {}, redis.call('ZMSCORE', index, unpack(ids))
    for place, id in ipairs(ids) do
      if scores[place] then kept[#kept + 1] = id end
    end
    ids = kept
  end
  local found = {}
  for _, id in ipairs(ids) do found[id] = true end
  return found
end

local before, at = string.match(args.at, '^(%(?)(.+)$')

-- whether the indexes have few enough jobs in common to have them all: counting them would cost as much as having them
local function are_few()
  local drawn, met = redis.call('ZRANDMEMBER', walked, args.sample), 0
  for _ in pairs(in_all(drawn)) do met = met + 1 end
  return met * cards[walked] <= args.met * #drawn
end

-- one page of all jobs that the indexes have in common; nil where they are too many
local function from_intersection()
  if #args.indexes == 0 or cards[walked] > args.whole or not are_few() then return nil end
  local keys = {#args.indexes + 1, walked, unpack(args.indexes)}
  keys[#keys + 1], keys[#keys + 2], keys[#keys + 3] = 'AGGREGATE', 'MIN', 'WITHSCORES'
  local common = redis.call('ZINTER', unpack(keys))
  local newest, oldest = at == '+inf' and math.huge or tonumber(at), args.least == '-inf' and 0 or tonumber(args.least)
  local found = {}
  for place = #common - 1, 1, -2 do
    local id, made = common[place], tonumber(common[place + 1])
    local behind = made < newest or (made == newest and before == '' and (args.after == '' or id < args.after))
    if behind and made >= oldest then
      if #found == 2 * args.limit then return {found, found[#found], found[#found - 1]} end
      found[#found + 1] = id
      found[#found + 1] = int(made)
    end
  end
  return {found, '', ''}
end

-- places in the index, by rank: to go on from a rank costs the same everywhere
local from = at == '+inf' and 0 or redis.call('ZCOUNT', walked, (before == '(' and '' or '(') .. at, '+inf')
local to = redis.call('ZCOUNT', walked, args.least, '+inf')

local found, looked, chunk, intersected = {}, 0, math.min(math.max(args.limit, 200), args.patience), false
while from < to and looked < args.most do
  local ids = redis.call('ZREVRANGE', walked, from, math.min(from + chunk, to) - 1)
  local fits = in_all(ids)
  for _, id in ipairs(ids) do
    looked = looked + 1
    if fits[id] and (args.after == '' or id < args.after or submitted(id) ~= at) then
      found[#found + 1] = id
      found[#found + 1] = submitted(id)
    end
    if #found == 2 * args.limit or looked >= args.most then return {found, submitted(id), id} end
  end
  if not intersected and looked >= args.patience and from + #ids < to then
    intersected = true
    local page = from_intersection()
    if page then return page end
  end
  from, chunk = from + #ids, 1000
end
return {found, '', ''}
