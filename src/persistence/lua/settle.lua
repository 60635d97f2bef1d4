-- Forgets tickets whose orders are in the database and leaves a mark for each.
--
-- An order from before the account was rebuilt, of which there is neither ticket nor mark, was on its way through the
-- order queue when the account was lost: what the rebuild read in the database may not have had it. It is marked, and
-- the account counts as lost again, so that the next question rebuilds it with that order in it.
--
-- Keys: 1 to 7 of fence.lua. Arguments: for each ticket: order, pool, <pool>:<buyer>, units.
-- Reply: 'OK'. Cost: 11 commands for a batch; about 4 us a ticket, and up to twice as many old marks are forgotten.
local count = #ARGV / 4
local orders, keys = {}, {}
for i = 1, count do
  orders[i], keys[i] = ARGV[i * 4 - 3], ARGV[i * 4 - 1]
end
local tickets = call('HMGET', TICKETS, unpack(orders))
read_buyers(keys)

local settled, new_marks, seen, late = {}, {}, {}, {}
for i = 1, count do
  local order = orders[i]
  if tickets[i] and not seen[order] then
    seen[order] = true
    unhold(ARGV[i * 4 - 2], buyers[keys[i]], tonumber(ARGV[i * 4]), order)
    settled[#settled + 1] = order
    new_marks[#new_marks + 1] = mark(SETTLED)
    new_marks[#new_marks + 1] = order
  elseif not seen[order] and order <= presumed then
    seen[order] = true
    late[#late + 1] = order
  end
end
if #settled > 0 then
  call('HDEL', TICKETS, unpack(settled))
  call('ZADD', MARKS, unpack(new_marks))
  write_accounts()
end
if #late > 0 then
  local marks, is_wrong = call('ZMSCORE', MARKS, unpack(late)), false
  for i = 1, #late do
    if not marks[i] then
      call('ZADD', MARKS, mark(SETTLED), late[i])
      is_wrong = true
    end
  end
  note_newest(late)
  if is_wrong then call('HDEL', META, 'run') end
end
forget_marks(2 * count)
return { 'OK' }
