-- Writes the account of one product anew, as the database has it. Has no fence before it: it is how an account begins.
--
-- Keys: 1 to 9 of fence.lua, then 10 the buyers' accounts laid ready under a name of their own, 11 the turn (begin.lua).
-- Arguments: the turn in which the database was read; epoch; the text that no number made before the rebuild is above; how
-- many buyers lie ready; how many pools, and for each: pool, units free, terms or empty; how many returned orders, and
-- these; then the steps to be forgotten.
-- Reply: 'OK', then W written, K kept (there is a valid account, or the turn is over), or S what was laid ready is not
-- there. Tickets and marks stay; units held and owed lists are counted anew from the tickets.
-- Cost: 5 us for each ticket that stays, 2 us for each pool, order and step; the buyers' accounts are renamed, not copied.
local META, POOLS, BUYERS, TICKETS, AGES, MARKS, GONE, STEPS, STEP_AGES, READY, TURN = unpack(KEYS)
local call = redis.call
local turn, epoch, presumed, ready = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local run = string.match(call('INFO', 'server'), 'run_id:%x+')
local meta = call('HMGET', META, 'run', 'epoch', 'presumed', 'newest')
if meta[1] == run or call('GET', TURN) ~= turn or string.sub(turn, 1, #run) ~= run then
  return { 'OK', 'K' }
end
if call('HLEN', READY) ~= ready then
  return { 'OK', 'S' }
end

local at = 5
local function next_argument()
  at = at + 1
  return ARGV[at - 1]
end

call('UNLINK', POOLS, BUYERS, TURN)
if ready > 0 then
  call('RENAME', READY, BUYERS)
  call('PERSIST', BUYERS)
end
for _ = 1, tonumber(next_argument()) do
  local name, free, terms = next_argument(), next_argument(), next_argument()
  call('HSET', POOLS, 'f' .. name, free, 'h' .. name, 0)
  if terms ~= '' then call('HSET', POOLS, 't' .. name, terms) end
end
local time = call('TIME')
local mark = (time[1] * 1000 + math.floor(time[2] / 1000)) * 4 + 3 -- returned, and there is an order
local newest = meta[4] or ''
for _ = 1, tonumber(next_argument()) do
  local order = next_argument()
  if order > newest then newest = order end
  call('HDEL', TICKETS, order)
  call('HDEL', GONE, order)
  call('ZADD', MARKS, mark, order)
end
while at <= #ARGV do
  local step = next_argument()
  call('HDEL', STEPS, step)
  call('ZREM', STEP_AGES, step)
end

local held = {}
local tickets = call('HGETALL', TICKETS)
for i = 1, #tickets, 2 do
  local key, name, units, kind = string.match(tickets[i + 1], '^((%d+):%-?%d+) (%d+) (%a) ')
  if key then
    held[name] = (held[name] or 0) + tonumber(units)
    if kind == 'o' then
      local account = call('HGET', BUYERS, key) or '0 - '
      call('HSET', BUYERS, key, account .. tickets[i])
    end
  end
end
for name, units in pairs(held) do
  call('HSET', POOLS, 'h' .. name, units)
  call('HSETNX', POOLS, 'f' .. name, 0)
end
if meta[3] and meta[3] > presumed then presumed = meta[3] end
call('HSET', META, 'run', run, 'epoch', epoch, 'presumed', presumed, 'newest', newest)
return { 'OK', 'W' }
