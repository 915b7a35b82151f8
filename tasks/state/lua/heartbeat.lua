-- heartbeat(args: worker, ttl_ms, facts): this worker is alive for another `ttl_ms`
redis.call('ZADD', key('workers'), int(now + args.ttl_ms), args.worker)
return {'ok', int(now)}
