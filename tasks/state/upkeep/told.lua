-- told(args: ends: {id, updated_ms}[]): these ends are told; a job that went on and ended again since it was read isn't
for _, seen in ipairs(args.ends) do
  local updated = get(seen[1], 'updated_ms')
  if not updated or updated == seen[2] then redis.call('SREM', key('told'), seen[1]) end
end
