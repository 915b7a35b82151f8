-- tell_again(args: id): tell the end of a job that rests once more, to somebody who asked again
if redis.call('ZSCORE', key('telling'), args.id) == false and get(args.id, 'state') then
  redis.call('ZADD', key('telling'), int(now), args.id)
end
