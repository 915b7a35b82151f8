-- goodbye(args: worker, seen): this worker ends; what it still runs, should there be any, is taken over at once, and is no crash; tells the newest audit entry's moment
-- with look_first/server
-- with upkeep/untold
untold_by(args.worker)
if redis.call('SCARD', key('worker', args.worker, 'jobs')) == 0 then
  redis.call('ZREM', key('workers'), args.worker)
  redis.call('HDEL', key('workers', 'about'), args.worker)
else
  redis.call('ZADD', key('workers'), int(now), args.worker)
  redis.call('SET', key('worker', args.worker, 'left'), 1, 'PX', 3600 * 1000)
end
redis.call('SREM', key('ledger', 'unheard'), args.worker)
wake()
return {'ok', lost(args.seen) and 0 or int(newest_ms())}
