-- Gives the units of tickets back, once for each order, and leaves a tombstone for each.
--
-- Keys: 1 to 7 of fence.lua. Arguments: for each ticket: order, pool, <pool>:<buyer>, units, and what the database says
-- of the order: o there is one, n there is none, ? not asked yet.
-- Reply: 'OK', then the positions (from 1) of presumed orders that came with ?: they are left as they are until they
-- come again with the database's word. Cost: 13 commands for a batch; about 5 us a ticket.
local count = #ARGV / 5
local orders, keys = {}, {}
for i = 1, count do
  orders[i], keys[i] = ARGV[i * 5 - 4], ARGV[i * 5 - 2]
end
local tickets = call('HMGET', TICKETS, unpack(orders))
local marks = call('ZMSCORE', MARKS, unpack(orders))
read_buyers(keys)

local reply, seen = { 'OK' }, {}
local freed, new_marks, gone = {}, {}, {}
for i = 1, count do
  local order, name, buyer = orders[i], ARGV[i * 5 - 3], buyers[keys[i]]
  local units, word, state = tonumber(ARGV[i * 5 - 1]), ARGV[i * 5], state_of(marks[i])
  local becomes
  if seen[order] then
    becomes = nil
  elseif tickets[i] then
    unhold(name, buyer, units, order)
    give_back(name, buyer, units)
    freed[#freed + 1] = order
    insert(gone, order)
    insert(gone, tickets[i])
    becomes = RETURNED
  elseif state == RETURNED or state == RETURNED_SETTLED then
    becomes = state -- marked anew: what is still repeated is not forgotten
  elseif state == SETTLED or (order <= presumed and word == 'o') then
    give_back(name, buyer, units)
    becomes = RETURNED_SETTLED
  elseif order <= presumed and word == '?' then
    reply[#reply + 1] = i
  else -- never taken
    insert(gone, order)
    insert(gone, keys[i] .. ' ' .. ARGV[i * 5 - 1] .. ' o 0 0 {}')
    becomes = RETURNED
  end
  seen[order] = true
  if becomes then
    new_marks[#new_marks + 1] = mark(becomes)
    new_marks[#new_marks + 1] = order
  end
end
if #freed > 0 then
  call('HDEL', TICKETS, unpack(freed))
end
if #gone > 0 then call('HSET', GONE, unpack(gone)) end
if #new_marks > 0 then call('ZADD', MARKS, unpack(new_marks)) end
write_accounts()
note_newest(orders)
forget_marks(2 * count)
return reply
