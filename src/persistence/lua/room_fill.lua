-- Tells how many turns of a waiting room are still to come, and when the last of them begins. Changes nothing.
--
-- KEYS  1 turns by buyer (a sorted set), 2 the first turn that is free
-- reply how many; the last one in µs by the server's clock, 0 if none is to come
-- cost  3 commands

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local waiting = redis.call('ZCOUNT', KEYS[1], string.format('(%.0f', now), '+inf')
if waiting == 0 then
  return { 0, 0 }
end
return { waiting, tonumber(redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]) }
