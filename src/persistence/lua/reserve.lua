-- Judges a batch of claims on one product in their order and takes the units of those that are not refused.
--
-- Keys: 1 to 6 of fence.lua. Arguments: now ms, then for each claim: order, pool, <pool>:<buyer>, units, price fen,
-- o (owed) or p (prepared) followed by the details as JSON.
-- Reply: 'OK', then for each claim one of
--   T or T<price>  taken (at the price of the sale)     R<ticket>  taken before, unsettled
--   S              taken before, settled                W          given back before, or presumed taken
--   P no such pool or no terms    N<ms> opens then    E ended    B<order> has his units    L<units> over the limit
--   O sold out                    K<units> only so many left
-- Cost: 11 commands for a batch, 4 of them growing with it; 5 us and about 2 us a claim.
local SIZE = 6
local now, at = tonumber(ARGV[1]), 2
local count = (#ARGV - 1) / SIZE
local orders, keys = {}, {}
for i = 1, count do
  orders[i], keys[i] = ARGV[at], ARGV[at + 2]
  at = at + SIZE
end
local tickets = call('HMGET', TICKETS, unpack(orders))
local marks = call('ZMSCORE', MARKS, unpack(orders))
read_buyers(keys)

local reply, fresh, values, ages = { 'OK' }, {}, {}, {}
at = 2
for i = 1, count do
  local order, state = orders[i], state_of(marks[i])
  local known = tickets[i] or fresh[order]
  local answer
  if known then
    answer = 'R' .. known
  elseif state == SETTLED then
    answer = 'S'
  elseif state or order <= presumed then
    answer = 'W'
  else
    local name, units, buyer = ARGV[at + 1], tonumber(ARGV[at + 3]), buyers[keys[i]]
    answer = judge(name, buyer, units, now)
    if not answer then
      take(name, buyer, units, order)
      local pool, tail = pools[name], ARGV[at + 5]
      pool.held = pool.held + units
      if string.byte(tail) == 111 then -- owed
        buyer.owed, buyer.changed = buyer.owed .. order, true
      end
      local ticket = keys[i] .. ' ' .. ARGV[at + 3] .. ' ' .. string.sub(tail, 1, 1) .. ' '
        .. (pool.price or ARGV[at + 4]) .. ' ' .. ARGV[1] .. ' ' .. string.sub(tail, 2)
      fresh[order] = ticket
      values[#values + 1], ages[#ages + 1] = order, ARGV[1]
      values[#values + 1], ages[#ages + 1] = ticket, order
      answer = pool.price and ('T' .. pool.price) or 'T'
    end
  end
  reply[i + 1] = answer
  at = at + SIZE
end
if #values > 0 then
  call('HSET', TICKETS, unpack(values))
  call('ZADD', AGES, unpack(ages))
  write_accounts()
end
return reply
