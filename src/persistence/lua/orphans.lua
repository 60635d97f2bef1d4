-- The oldest unsettled tickets of one product.
--
-- Keys: 1 to 5 of fence.lua. Arguments: accepted before ms, most.
-- Reply: 'OK', then orders and their tickets (empty if there is none) by turns. Cost: about 7 us, and 1 us a ticket.
local orders = call('ZRANGEBYSCORE', AGES, '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[2])
local reply = { 'OK' }
if #orders == 0 then
  return reply
end
local tickets = call('HMGET', TICKETS, unpack(orders))
for i = 1, #orders do
  insert(reply, orders[i])
  insert(reply, tickets[i] or '')
end
return reply
