-- outcome(args: id, intent, detail): close an intent; never fenced, because every intent gets its outcome, and only one
local id = args.id
if args.intent ~= '' then
  if redis.call('ZREM', key('intents'), args.intent) == 0 then return {'refused', 'closed'} end
  redis.call('HDEL', key('intents', 'of'), args.intent)
end
if id ~= '' and get(id, 'state') then note(id, entry.event, args.detail) end
audit()
return {'ok'}
