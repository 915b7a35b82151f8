-- admit(args: id, per_minute, touch_ms): count one request against the key's rate. Returns the key's record, too
-- with access/bucket
local left, wait_ms = take(args)
local record = key('apikey', args.id)
return {left and 'ok' or 'refused', left or wait_ms, redis.call('TYPE', record).ok == 'hash' and redis.call('HGETALL', record) or {}}
