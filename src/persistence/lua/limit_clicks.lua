-- Adds the clicks that one node has let in to those of all nodes, and names the users who are over the limit.
-- The window slides by weight: the last window counts by the part of it that is still in view.
--
-- KEYS  1 clicks by user in windows of even number, 2 in those of odd number; the field "w" holds the number
-- ARGV  1 window in ms, 2 clicks in a window, then for each user: id, clicks
-- reply ms until this window ends, then the ids of those over the limit
-- cost  6 commands and 1 a user; not repeatable: a node never sends the same clicks twice

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local window, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local number, into = math.floor(now / window), now % window
local current, last = KEYS[number % 2 + 1], KEYS[(number + 1) % 2 + 1]
local name = string.format('%.0f', number)

if redis.call('HGET', current, 'w') ~= name then
  redis.call('UNLINK', current)
  redis.call('HSET', current, 'w', name)
  redis.call('PEXPIRE', current, 2 * window)
end
local users = {}
for at = 3, #ARGV, 2 do
  users[#users + 1] = ARGV[at]
end
local before = {}
if redis.call('HGET', last, 'w') == string.format('%.0f', number - 1) then
  before = redis.call('HMGET', last, unpack(users))
end
local reply = { window - into }
for place, user in ipairs(users) do
  local clicks = redis.call('HINCRBY', current, user, ARGV[2 * place + 2])
  local in_view = (tonumber(before[place] or '') or 0) * (window - into) / window
  if in_view + clicks > limit then
    reply[#reply + 1] = user -- as text: a number of 64 bits would be rounded
  end
end
return reply
