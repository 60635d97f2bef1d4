-- What is known of an order.
--
-- Keys: 1 to 7 of fence.lua. Argument: order.
-- Reply: 'OK', then T and the ticket; or the state of its mark (1, 2, 3) and, for 2, the ticket; or nothing if the order is
-- unknown or presumed. Cost: about 7 us.
local ticket = call('HGET', TICKETS, ARGV[1])
if ticket then
  return { 'OK', 'T', ticket }
end
local state = state_of(call('ZSCORE', MARKS, ARGV[1]))
if not state then
  return { 'OK' }
end
return { 'OK', tostring(state), state == RETURNED and call('HGET', GONE, ARGV[1]) or nil }
