-- Writes the terms of a sale beside its units; makes the pool, empty, if it is new.
--
-- Keys: 1 and 2 of fence.lua. Arguments: pool, terms. Reply: 'OK'. Cost: about 7 us.
call('HSET', POOLS, 't' .. ARGV[1], ARGV[2])
call('HSETNX', POOLS, 'f' .. ARGV[1], 0)
return { 'OK' }
