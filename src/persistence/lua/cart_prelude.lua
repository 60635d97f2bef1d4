-- What every cart script begins with; it is put in front of each of them.
--
-- A cart is the hash KEYS[1]: a field for each product, named by its id, with the value "{units}:{added at}", and the
-- field "t" with the time of its end. Times are the caller's, in milliseconds since 1970: a cart ends by the shop's
-- clock, the key's own expiry only frees the memory. All keys of one owner share one hash tag.

local LINE_UNITS_MAX = 999

-- Units and time of a stored line.
local function read_line(value)
  local units, added_at = string.match(value, '^(%d+):(%d+)$')
  return tonumber(units), added_at
end

-- Forgets the cart if its time is over.
local function forget_expired(cart, now)
  local ends_at = redis.call('HGET', cart, 't')
  if not ends_at or tonumber(ends_at) <= tonumber(now) then
    redis.call('DEL', cart)
  end
end

local function line_count(cart)
  return redis.call('HLEN', cart) - redis.call('HEXISTS', cart, 't')
end

-- A changed cart lives for its full time again, with all its lines; one without lines is forgotten.
local function touch(cart, now, life)
  if line_count(cart) == 0 then
    redis.call('DEL', cart)
  else
    redis.call('HSET', cart, 't', string.format('%.0f', tonumber(now) + tonumber(life)))
    redis.call('PEXPIRE', cart, life)
  end
end

-- Adds units to a line up to LINE_UNITS_MAX; a new line only if there is room. `value` is a stored line.
local function merge_line(cart, product, value, lines_max)
  local units, added_at = read_line(value)
  local present = redis.call('HGET', cart, product)
  if present then
    local own, own_added_at = read_line(present)
    redis.call('HSET', cart, product, string.format('%d:%s', math.min(own + units, LINE_UNITS_MAX), own_added_at))
  elseif line_count(cart) < tonumber(lines_max) then
    redis.call('HSET', cart, product, string.format('%d:%s', units, added_at))
  end
end

