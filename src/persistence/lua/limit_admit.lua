-- Counts one event of a subject, if its sliding window has room. Time is the server's, one clock for all nodes.
--
-- KEYS  1 times of the latest events, newest first: a list that is never longer than the limit
-- ARGV  1 events in a window, 2 window in ms
-- reply 0: counted; else ms until there is room, nothing was counted
-- cost  at most 5 commands; LINDEX is O(limit)

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local max, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local oldest = tonumber(redis.call('LINDEX', KEYS[1], max - 1) or '')
-- an event from the future (the clock went back) holds nobody up
if oldest and oldest > now - window and oldest <= now then
  return oldest + window - now
end
redis.call('LPUSH', KEYS[1], string.format('%.0f', now))
redis.call('LTRIM', KEYS[1], 0, max - 1)
redis.call('PEXPIRE', KEYS[1], window)
return 0
