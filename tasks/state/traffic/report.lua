-- report(args: name, revision, passed, step, test): keep what a connection test of these very settings found
-- with traffic/decisions
if tonumber(redis.call('HGET', key('destination', args.name), 'revision')) ~= args.revision then return {'refused', 'revision'} end
prove(args.name, not args.passed and args.step or nil)
redis.call('HSET', key('traffic', args.name), 'test', args.test, 'test_at_ms', int(now))
audit()
wake()
return {'ok'}
