-- page(args: index, at, after, limit): ids and submission times behind a place in an index, newest first
local found = {}
local function take(ids, at)
  for _, id in ipairs(ids) do
    if #found / 2 == args.limit then return end
    if at == nil or id < args.after then
      found[#found + 1] = id
      found[#found + 1] = int(redis.call('ZSCORE', args.index, id))
    end
  end
end
if args.after ~= '' then
  take(redis.call('ZREVRANGEBYSCORE', args.index, args.at, args.at), args.at)
  args.at = '(' .. args.at
end
take(redis.call('ZREVRANGEBYSCORE', args.index, args.at, '-inf', 'LIMIT', 0, args.limit))
return found
