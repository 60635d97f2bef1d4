-- Takes a product out of a cart.
--
-- KEYS  1 the cart
-- ARGV  1 now, 2 product
-- reply 1, or 0 if the product is not in the cart
-- cost  at most 6 commands, O(1)

forget_expired(KEYS[1], ARGV[1])
local removed = redis.call('HDEL', KEYS[1], ARGV[2])
if line_count(KEYS[1]) == 0 then
  redis.call('DEL', KEYS[1])
end
return removed
