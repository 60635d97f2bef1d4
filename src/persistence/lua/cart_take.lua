-- Sets the lines of a checkout aside: they leave the cart and lie in the record of the checkout until it is concluded.
-- A repeat of the same checkout finds its record and owns it from now on.
--
-- KEYS  1 the cart, 2 its checkouts: a hash, by the number of a checkout's first order, of
--         {"attempt", "at", "dropped", "lines": [[product, units ordered, order number, line as it was in the cart]]}
-- ARGV  1 now, 2 life of a cart in ms, 3 checkout, 4 attempt, 5 checkouts there may be,
--       then for each line: product, units ordered, order number
-- reply "taken"; "gone": not all lines are in the cart; "other": the record has other lines; "busy": too many records
-- cost  7 commands and 3 a line

local function is_same(lines)
  if #lines ~= (#ARGV - 5) / 3 then
    return false
  end
  for at, line in ipairs(lines) do
    local first = 3 + at * 3
    if line[1] ~= ARGV[first] or line[2] ~= ARGV[first + 1] or line[3] ~= ARGV[first + 2] then
      return false
    end
  end
  return true
end

local function keep(record)
  record.attempt, record.at = ARGV[4], ARGV[1]
  redis.call('HSET', KEYS[2], ARGV[3], cjson.encode(record))
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
  return 'taken'
end

local known = redis.call('HGET', KEYS[2], ARGV[3])
if known then
  local record = cjson.decode(known)
  return is_same(record.lines) and keep(record) or 'other'
end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[5]) then
  return 'busy'
end
forget_expired(KEYS[1], ARGV[1])
local lines = {}
for at = 6, #ARGV, 3 do
  local stored = redis.call('HGET', KEYS[1], ARGV[at])
  if not stored then
    return 'gone'
  end
  lines[#lines + 1] = { ARGV[at], ARGV[at + 1], ARGV[at + 2], stored }
end
for _, line in ipairs(lines) do
  redis.call('HDEL', KEYS[1], line[1])
end
if line_count(KEYS[1]) == 0 then
  redis.call('DEL', KEYS[1])
end
return keep({ lines = lines, dropped = false })
