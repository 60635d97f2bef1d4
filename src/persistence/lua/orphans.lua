-- The oldest unsettled tickets of one product; forgets batches of which none is left.
--
-- Keys: 1 to 5 of fence.lua. Arguments: accepted before ms, most.
-- Reply: 'OK', the account's epoch, then orders and their tickets by turns: `most` of them if there are as many, or a few
-- more, or fewer if more than ORDERS_MAX of the orders before them are settled: these are forgotten, and the next call
-- goes on.
-- Cost: about 7 us, and 1 us for each order looked at.
local BATCHES, ORDERS_MAX = 16, 20000
local before, most = '(' .. ARGV[1], tonumber(ARGV[2])
local reply, found, looked, from, last = { 'OK', meta[2] }, 0, 0, 0, nil
local empty = {}

-- True if the batch still has tickets.
local function look_at(batch)
  local orders = {}
  for order in string.gmatch(batch, string.rep('%w', 26)) do
    orders[#orders + 1] = order
  end
  looked = looked + #orders
  local found_before = found
  for i, ticket in ipairs(call('HMGET', TICKETS, unpack(orders))) do
    if ticket then
      found = found + 1
      insert(reply, orders[i])
      insert(reply, ticket)
    end
  end
  return found > found_before
end

repeat
  local batches = call('ZRANGEBYSCORE', AGES, '-inf', before, 'WITHSCORES', 'LIMIT', from, BATCHES)
  from = from + BATCHES
  for i = 1, #batches, 2 do
    -- Batches of one millisecond belong together: which of their orders is the oldest is seen only in all of them.
    if (found >= most or looked >= ORDERS_MAX) and batches[i + 1] ~= last then
      batches = {}
      break
    end
    last = batches[i + 1]
    if not look_at(batches[i]) then insert(empty, batches[i]) end
  end
until #batches == 0
for i = 1, #empty do
  call('ZREM', AGES, empty[i])
end
return reply
