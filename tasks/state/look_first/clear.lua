-- clear(args: by): an operator has checked: first attempts write straight away again
local flag = key('look_first')
if redis.call('EXISTS', flag) == 0 or redis.call('HEXISTS', flag, 'cleared_ms') == 1 then return {'refused', 'clear'} end
redis.call('HSET', flag, 'cleared_ms', int(now), 'cleared_by', args.by)
audit()
wake()
return {'ok'}
