-- orphans(args: batch, test_ms): open intents that nobody will close: their attempt is over, or their test long begun
local found = {}
local open = redis.call('ZRANGE', key('intents'), 0, args.batch - 1, 'WITHSCORES')
for at = 1, #open, 2 do
  local of = cjson.decode(redis.call('HGET', key('intents', 'of'), open[at]))
  local over
  if of.id == '' then over = tonumber(open[at + 1]) + args.test_ms < now
  else over = get(of.id, 'state') ~= 'running' or tonumber(get(of.id, 'token')) ~= of.token end
  if over then found[#found + 1] = {open[at], of.id, of.stage} end
end
return found
