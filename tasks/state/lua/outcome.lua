-- outcome(args: id, intent, detail): close an intent; never fenced, because every intent gets its outcome
local id = args.id
if id ~= '' and get(id, 'open_intent') == args.intent then redis.call('HDEL', job_key(id), 'open_intent') end
if id ~= '' and get(id, 'state') then note(id, entry.event, args.detail) end
audit()
return {'ok'}
