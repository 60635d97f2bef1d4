-- Puts more units of a product into a cart.
--
-- KEYS  1 the cart
-- ARGV  1 now, 2 life of a cart in ms, 3 product, 4 units more, 5 units there may be in all, 6 lines there may be
-- reply {"ok", units in the cart}, {"units", units in the cart}: more than there may be, {"lines", lines in the cart}
-- cost  at most 9 commands, O(1)

forget_expired(KEYS[1], ARGV[1])
local present = redis.call('HGET', KEYS[1], ARGV[3])
local own, added_at = 0, ARGV[1]
if present then
  own, added_at = read_line(present)
end
local units = own + tonumber(ARGV[4])
if units > tonumber(ARGV[5]) then
  return {'units', own}
end
if not present and line_count(KEYS[1]) >= tonumber(ARGV[6]) then
  return {'lines', line_count(KEYS[1])}
end
redis.call('HSET', KEYS[1], ARGV[3], string.format('%d:%s', units, added_at))
touch(KEYS[1], ARGV[1], ARGV[2])
return {'ok', units}
