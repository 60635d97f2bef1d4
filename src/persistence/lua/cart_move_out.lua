-- Sets a guest's whole cart aside for the user that he has signed in as. What an earlier sign-in left there goes first.
--
-- KEYS  1 the guest's cart, 2 his cart on the move: a cart with the fields "to" (the user) and "id" (the move)
-- ARGV  1 now, 2 user, 3 id of this move
-- reply the fields and values of KEYS[2]; none: there is nothing to move
-- cost  at most 5 commands, O(lines)

if redis.call('EXISTS', KEYS[2]) == 0 then
  forget_expired(KEYS[1], ARGV[1])
  if line_count(KEYS[1]) == 0 then
    return {}
  end
  redis.call('RENAME', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[2], 'to', ARGV[2], 'id', ARGV[3])
end
return redis.call('HGETALL', KEYS[2])
