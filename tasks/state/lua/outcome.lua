-- outcome(args: id, intent, detail, destination?, learned?): close an intent; never fenced, because every intent gets its outcome
-- with traffic
local id = args.id
if id ~= '' and get(id, 'open_intent') == args.intent then redis.call('HDEL', job_key(id), 'open_intent') end
if id ~= '' and get(id, 'state') then note(id, entry.event, args.detail) end
if args.destination and args.learned then learn(args.destination, args.learned) end
audit()
return {'ok'}
