-- told(args: ends: {id, updated_ms}[]): these ends are told, with all that hung on them; a job that went on and ended again since it was read isn't
for _, seen in ipairs(args.ends) do
  local updated = get(seen[1], 'updated_ms')
  if not updated or updated == seen[2] then
    redis.call('ZREM', key('telling'), seen[1])
    if ends[get(seen[1], 'state') or ''] and redis.call('HDEL', job_key(seen[1]), 'origin') == 1 then
      redis.call('HSET', job_key(seen[1]), 'origin_told', 1)
    end
  else
    redis.call('ZADD', key('telling'), int(now), seen[1])
  end
end
