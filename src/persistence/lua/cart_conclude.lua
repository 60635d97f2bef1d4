-- Ends a checkout: its lines are forgotten, or put back into the cart. They are merged with what was put in meanwhile,
-- last added first, not above the bounds of a cart. A conclusion of another attempt changes nothing.
--
-- KEYS  1 the cart, 2 its checkouts (see cart_take.lua)
-- ARGV  1 now, 2 life of a cart in ms, 3 checkout, 4 attempt, 5 "placed" or "refused", 6 lines there may be
-- reply 1, or 0 if there is no such attempt
-- cost  2 commands, for a refusal 6 more and at most 4 a line

local known = redis.call('HGET', KEYS[2], ARGV[3])
if not known then
  return 0
end
local record = cjson.decode(known)
if record.attempt ~= ARGV[4] then
  return 0
end
redis.call('HDEL', KEYS[2], ARGV[3])
if ARGV[5] == 'placed' or record.dropped then
  return 1
end
forget_expired(KEYS[1], ARGV[1])
local function added_at(line)
  local _, at = read_line(line[4])
  return tonumber(at)
end
table.sort(record.lines, function(one, other)
  return added_at(one) > added_at(other)
end)
for _, line in ipairs(record.lines) do
  merge_line(KEYS[1], line[1], line[4], ARGV[6])
end
touch(KEYS[1], ARGV[1], ARGV[2])
return 1
