-- went_back(args: by, reason?, until_ms?, to, last_error): the ledger is older than what a process has seen (or somebody says so): from now on every attempt looks first
-- with look_first/server
settling()
-- the newest entry, and of the flag: since when, raised by whom, and what was the newest entry after the loss
local function told()
  local is = redis.call('HMGET', key('look_first'), 'since_ms', 'by', 'after_ms')
  return {'ok', '', '', int(newest_ms()), is[1], is[2], is[3] or '0'}
end
local flag, ledger = key('look_first'), redis.call('HMGET', key('ledger'), 'moved_ms', 'newest_ms')
local known = redis.call('HMGET', flag, 'since_ms', 'cleared_ms', 'after_ms', 'until_ms')
local since_ms, cleared = tonumber(known[1] or 0), known[2]
local function newer(moment) return args.until_ms and args.until_ms > moment end

-- Each process notices by itself. What it saw before the loss was noticed is that one; what it saw later was lost since then.
if args.until_ms and since_ms > 0 and not newer(since_ms) then
  if not cleared and newer(tonumber(known[4] or 0)) then redis.call('HSET', flag, 'until_ms', int(args.until_ms)) end
  audit()
  return told()
end

-- Nobody has looked after an earlier loss yet: what is missing since then still is.
local after_ms, until_ms = not cleared and known[3], not cleared and known[4]
if args.until_ms then
  until_ms = math.max(args.until_ms, tonumber(until_ms or 0))
  if not after_ms then
    after_ms = newest_ms()
    if not newer(tonumber(ledger[1] or now)) and ledger[2] then after_ms = ledger[2] end
  end
end
redis.call('DEL', flag)
redis.call('HSET', flag, 'since_ms', int(math.max(now, args.until_ms or 0, since_ms + 1)), 'by', args.by)
if args.reason then redis.call('HSET', flag, 'reason', args.reason) end
if until_ms then redis.call('HSET', flag, 'after_ms', int(tonumber(after_ms)), 'until_ms', int(tonumber(until_ms))) end

-- What runs was claimed before anybody knew: its tokens are worth nothing any more, and the next attempt looks first.
for _, id in ipairs(redis.call('ZRANGE', key('state', 'running'), 0, -1)) do
  local subject = key('subject', get(id, 'subject'))
  local waiting = redis.call('HGET', subject, 'waiting')
  let_go(id)
  redis.call('HINCRBY', job_key(id), 'attempts', -1)
  redis.call('HSET', job_key(id), 'last_error', args.last_error)
  if waiting then
    redis.call('HSET', job_key(id), 'superseded_by', waiting)
    enter(id, 'superseded')
    finish(id, 'superseded')
    tell(id)
    note(id, 'job.superseded', {by = waiting})
    wait_until(waiting, now)
  else
    enter(id, args.to)
    redis.call('HSET', subject, 'waiting', id)
    wait_until(id, now)
    note(id, 'job.given_back', {error = args.last_error, state = args.to})
  end
end
audit()
wake()
return told()
