-- overdue(args: batch): waiting jobs that are older than they may become, found among the oldest and among `batch` more in turn
local found = {}
local function look(ids)
  for _, id in ipairs(ids) do
    local expires_ms = tonumber(get(id, 'expires_ms') or '')
    if expires_ms and expires_ms <= now then found[#found + 1] = id end
  end
end
for _, state in ipairs({'queued', 'retrying'}) do
  local index, places = key('state', state), key('overdue')
  local at, all = tonumber(redis.call('HGET', places, state) or 0), redis.call('ZCARD', index)
  if at >= all then at = 0 end
  look(redis.call('ZRANGE', index, 0, args.batch - 1))
  if at > 0 then look(redis.call('ZRANGE', index, at, at + args.batch - 1)) end
  redis.call('HSET', places, state, int(at + args.batch))
end
return found
