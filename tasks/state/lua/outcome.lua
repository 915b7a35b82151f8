-- outcome(args: id, intent, detail, destination?, learned?): close an intent; never fenced, because every intent gets its outcome, and only one
-- with traffic/decisions
local id = args.id
if args.intent ~= '' then
  if not redis.call('ZSCORE', key('intents'), args.intent) then return {'refused', 'closed'} end
  redis.call('ZREM', key('intents'), args.intent)
  redis.call('HDEL', key('intents', 'of'), args.intent)
end
if id ~= '' and get(id, 'state') then note(id, entry.event, args.detail) end
if args.destination and args.learned then learn(args.destination, args.learned) end
audit()
return {'ok'}
