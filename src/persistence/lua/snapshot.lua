-- All pools of a product.
--
-- Keys: 1 and 2 of fence.lua. Reply: 'OK', the epoch, then fields and values of the pools' hash. Cost: about 7 us.
local reply = { 'OK', meta[2] }
for _, text in ipairs(call('HGETALL', POOLS)) do
  insert(reply, text)
end
return reply
