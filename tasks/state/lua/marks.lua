-- marks(): what a process knows a record by, so that it can rely on what it read before as long as that is still so (`state.marks`)
local function mark_of(record, fields)
  local read, said = pcall(redis.call, 'HMGET', record, unpack(fields))
  if not read then said = {} end -- a record of another type says nothing
  for at = 1, #fields do said[at] = said[at] or '' end
  return redis.sha1hex(table.concat(said, '\n'))
end
