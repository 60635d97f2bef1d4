-- Sets how many units of a product are in a cart.
--
-- KEYS  1 the cart
-- ARGV  1 now, 2 life of a cart in ms, 3 product, 4 units
-- reply 1, or 0 if the product is not in the cart
-- cost  at most 7 commands, O(1)

forget_expired(KEYS[1], ARGV[1])
local present = redis.call('HGET', KEYS[1], ARGV[3])
if not present then
  return 0
end
local _, added_at = read_line(present)
redis.call('HSET', KEYS[1], ARGV[3], string.format('%d:%s', tonumber(ARGV[4]), added_at))
touch(KEYS[1], ARGV[1], ARGV[2])
return 1
