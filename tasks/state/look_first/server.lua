-- server(): on which server, or after which loss, does this script run: for the scripts that say `-- with look_first/server`
local run
local function run_id()
  if run then return run end
  local told = redis.pcall('INFO', 'server')
  run = type(told) == 'string' and string.match(told, 'run_id:(%w+)') or ''
  return run
end

-- the moment of the newest audit entry, 0 where there is none
local function newest_ms()
  local last = redis.call('XREVRANGE', key('audit'), '+', '-', 'COUNT', 1)[1]
  return last and tonumber(string.match(last[1], '^%d+')) or 0
end

-- Another server than before (a restart, a failover, a copy): it may have lost what some worker saw. Nothing is begun until
-- each worker has compared that, or for one heartbeat's time to live where one doesn't come.
local function settling()
  local here, ledger, unheard = run_id(), key('ledger'), key('ledger', 'unheard')
  if here ~= '' and redis.call('HGET', ledger, 'run') ~= here then
    redis.call('HSET', ledger, 'run', here, 'moved_ms', int(now), 'newest_ms', int(newest_ms()))
    redis.call('DEL', unheard)
    for _, worker in ipairs(redis.call('ZRANGE', key('workers'), 0, 4999)) do redis.call('SADD', unheard, worker) end
    redis.call('PEXPIRE', unheard, int(tonumber(redis.call('HGET', ledger, 'ttl_ms') or 6000)))
  end
  return redis.call('EXISTS', unheard) == 1
end
