-- goodbye(args: worker): this worker ends; what it still runs, should there be any, is taken over at once, and is no crash
if redis.call('SCARD', key('worker', args.worker, 'jobs')) == 0 then
  redis.call('ZREM', key('workers'), args.worker)
  redis.call('HDEL', key('workers', 'about'), args.worker)
else
  redis.call('ZADD', key('workers'), int(now), args.worker)
  redis.call('SET', key('worker', args.worker, 'left'), 1, 'PX', 3600 * 1000)
end
wake()
return {'ok'}
