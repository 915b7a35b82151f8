-- callback_origins(): the origins that outcomes wait for
return redis.call('SMEMBERS', key('callbacks'))
