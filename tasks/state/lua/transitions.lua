-- transitions(ARGV: prefix, transitions: {script, entry, args}[]): runs them in order, each where its entry is its chain's next; nothing passes where the process has seen more than is here
local replies, older = {}, false
for place, transition in ipairs(cjson.decode(ARGV[2])) do
  entry, args = transition.entry, transition.args
  forget_facts()
  if place == 1 then
    older = lost(entry.seen)
    head = redis.call('HGET', key('audit', 'heads'), entry.chain) or ''
  end
  if older then replies[place] = {'older'}
  elseif head ~= entry.prev then replies[place] = {'chain'}
  else replies[place] = scripts[transition.script]() end
end
write_all()
return replies
