-- hang(args: id, origin): what hangs on the message of a job that is there without it, as after an upgrade: done once, at its end
local id = args.id
local state = get(id, 'state')
if not state or get(id, 'origin') or get(id, 'origin_told') then return 0 end
-- a teller that read the record before this must not take it for told
redis.call('HSET', job_key(id), 'origin', args.origin, 'updated_ms', int(math.max(now, tonumber(get(id, 'updated_ms') or 0) + 1)))
if ends[state] then redis.call('ZADD', key('telling'), int(now), id) end
return 1
