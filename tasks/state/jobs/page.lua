-- page(args: indexes, at, after, least, limit, most): jobs that stand in every index, with their submission times, newest first, behind a place
-- Answers the ids and times, and the place to go on from: empty at the end. It looks at `most` jobs of the smallest index at most.
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

-- places in the index, by rank: to go on from a rank costs the same everywhere
local before, at = string.match(args.at, '^(%(?)(.+)$')
local from = at == '+inf' and 0 or redis.call('ZCOUNT', walked, (before == '(' and '' or '(') .. at, '+inf')
local to = redis.call('ZCOUNT', walked, args.least, '+inf')

local found, looked, chunk = {}, 0, math.max(args.limit, 200)
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
  from, chunk = from + #ids, 1000
end
return {found, '', ''}
