-- Begins a rebuild: names the turn in which the lost account may be written anew.
--
-- Has no fence before it: it is asked of what is lost. Keys: 1 meta of fence.lua, 2 the turn. Argument: the name of a turn
-- if none is open. Reply: 'OK', and if the account is lost its epoch and the turn that is open.
-- All who rebuild at the same time do it in one turn. It ends when one of them has written the account, when the process
-- ends, when its memory is lost, or after two minutes: what was read from the database before may then be too old.
-- Cost: about 6 us.
local META, TURN = unpack(KEYS)
local call = redis.call
local run = string.match(call('INFO', 'server'), 'run_id:%x+')
local meta = call('HMGET', META, 'run', 'epoch')
if meta[1] == run then
  return { 'OK' }
end
local turn = call('GET', TURN)
if not turn or string.sub(turn, 1, #run) ~= run then
  turn = run .. ' ' .. ARGV[1]
  call('SET', TURN, turn, 'EX', 120)
end
return { 'OK', meta[2] or '0', turn }
