-- followed_drop(args: destination, subjects): look at these tickets no more, until they are delivered again
for _, subject in ipairs(args.subjects) do redis.call('ZREM', key('followed', args.destination), subject) end
return {'ok'}
