-- drop(args: -): empty the dead list; what was counted stays counted
for _, id in ipairs(redis.call('ZRANGE', key('asides'), 0, -1)) do redis.call('DEL', key('aside', id)) end
redis.call('DEL', key('asides'))
redis.call('HDEL', key('asides', 'facts'), 'bytes')
audit()
return {'ok'}
