-- Puts lines that came with a guest into the user's cart, once for each move. Units add up to at most 999, lines
-- beyond the bound are left behind.
--
-- KEYS  1 the user's cart, 2 mark of this move
-- ARGV  1 now, 2 life of a cart in ms, 3 lines there may be, then for each line, last added first: product, units
-- reply 1, or 0 if this move was made before
-- cost  7 commands and at most 4 a line

-- the mark outlives the cart on the move, which lives as long as a cart
if not redis.call('SET', KEYS[2], '1', 'NX', 'PX', 2 * tonumber(ARGV[2])) then
  return 0
end
forget_expired(KEYS[1], ARGV[1])
for at = 4, #ARGV, 2 do
  merge_line(KEYS[1], ARGV[at], ARGV[at + 1] .. ':' .. ARGV[1], ARGV[3])
end
touch(KEYS[1], ARGV[1], ARGV[2])
return 1
