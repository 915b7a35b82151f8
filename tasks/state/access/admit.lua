-- admit(args: id, per_minute, touch_ms): count one request against the key's rate. Returns the key's record, too
-- with access/bucket
local left, wait_ms = take(args)
return {left and 'ok' or 'refused', left or wait_ms, redis.call('HGETALL', key('apikey', args.id))}
