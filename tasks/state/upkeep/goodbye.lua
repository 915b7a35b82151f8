-- goodbye(args: worker): this worker ends; what it still runs, should there be any, is taken over at once
if redis.call('SCARD', key('worker', args.worker, 'jobs')) == 0 then
  redis.call('ZREM', key('workers'), args.worker)
  redis.call('HDEL', key('workers', 'about'), args.worker)
else
  redis.call('ZADD', key('workers'), int(now), args.worker)
end
wake()
return {'ok'}
