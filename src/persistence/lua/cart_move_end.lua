-- Forgets a guest's cart on the move, if it is still the same move.
--
-- KEYS  1 the cart on the move (see cart_move_out.lua)
-- ARGV  1 id of the move
-- reply 1, or 0 if it is another move or none
-- cost  2 commands

if redis.call('HGET', KEYS[1], 'id') == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
