-- Gives a buyer his turn in the waiting room of a sale; who has one is told it again. Turns are given in the order of the
-- calls, one an interval. Time is the server's, one clock for all nodes; all of it in µs.
--
-- KEYS  1 turns by buyer (a sorted set), 2 the first turn that is free
-- ARGV  1 buyer, 2 interval, 3 how much of the past may be given out at once, 4 how long a turn lasts, 5 buyers who may wait,
--       6 a turn that is known to have been given: later ones lie behind it, whatever was forgotten here
-- reply his turn, or -1 if the room is full; then now
-- cost  at most 7 commands; the first removes turns that are over, each once

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local interval, past, lasts = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now - lasts))
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
if known then
  return { tonumber(known), now }
end
local turn = math.max(tonumber(redis.call('GET', KEYS[2]) or '') or 0, tonumber(ARGV[6]) + interval, now - past)
if turn - now >= tonumber(ARGV[5]) * interval then
  return { -1, now }
end
redis.call('ZADD', KEYS[1], string.format('%.0f', turn), ARGV[1])
local kept = math.floor((math.max(turn - now, 0) + lasts) / 1000) + 1000
redis.call('SET', KEYS[2], string.format('%.0f', turn + interval), 'PX', kept)
redis.call('PEXPIRE', KEYS[1], kept)
return { turn, now }
