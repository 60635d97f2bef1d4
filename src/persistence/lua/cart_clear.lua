-- Empties a cart. Lines that lie aside for a checkout do not come back if it is refused.
--
-- KEYS  1 the cart, 2 its checkouts (see cart_take.lua)
-- reply how many checkouts are open
-- cost  2 commands and one for each open checkout

redis.call('DEL', KEYS[1])
local open = redis.call('HGETALL', KEYS[2])
for at = 1, #open, 2 do
  local record = cjson.decode(open[at + 1])
  record.dropped = true
  redis.call('HSET', KEYS[2], open[at], cjson.encode(record))
end
return #open / 2
