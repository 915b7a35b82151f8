-- page(args: indexes, at, after, least, limit, most): jobs that stand in every index, with their submission times, newest first, behind a place
-- Answers the ids and times, and the place to go on from: empty at the end. It looks at `most` jobs of the smallest index at most.
local smallest, size = 1, nil
for place, index in ipairs(args.indexes) do
  local cards = redis.call('ZCARD', index)
  if not size or cards < size then smallest, size = place, cards end
end
local walked = table.remove(args.indexes, smallest)

local function in_all(id)
  for _, index in ipairs(args.indexes) do
    if not redis.call('ZSCORE', index, id) then return false end
  end
  return true
end

local found, looked, CHUNK = {}, 0, math.max(args.limit, 200)
while looked < args.most do
  local rows = redis.call('ZREVRANGEBYSCORE', walked, args.at, args.least, 'WITHSCORES', 'LIMIT', looked, CHUNK)
  for place = 1, #rows, 2 do
    local id, at = rows[place], int(tonumber(rows[place + 1]))
    looked = looked + 1
    local behind = args.after == '' or at ~= args.at or id < args.after
    if behind and in_all(id) then
      found[#found + 1] = id
      found[#found + 1] = at
    end
    if #found == 2 * args.limit or looked >= args.most then return {found, at, id} end
  end
  if #rows < 2 * CHUNK then break end
end
return {found, '', ''}
