-- tested(args: name, passed): the test that `suspect` gave away has ended
local traffic = key('traffic', args.name)
local began = redis.call('HGET', traffic, 'test_began_ms')
redis.call('HDEL', traffic, 'test_until_ms')
if began and args.passed then redis.call('HSET', traffic, 'test_passed_ms', began) end
return {'ok'}
