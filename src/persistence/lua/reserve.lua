-- Judges a batch of claims on one product in their order and takes the units of those that are not refused.
--
-- Keys: 1 to 6 of fence.lua. Arguments: now ms, then runs of claims that differ in order and buyer only (a rush is one run):
-- how many claims, pool, units, price fen, o (owed) or p (prepared), the details as JSON; then for each claim: order,
-- <pool>:<buyer>.
-- Reply: 'OK', the account's epoch, then for each claim one of
--   T or T<price>  taken (at the price of the sale)     R<ticket>  taken before, unsettled
--   S              taken before, settled                W          given back before, or presumed taken
--   P no such pool or no terms    N<ms> opens then    E ended    B<order> has his units    L<units> over the limit
--   O sold out                    K<units> only so many left
-- Cost: 10 to 12 commands for a batch, 3 to 5 of them growing with it: about 20 us a call and 3 us a claim.
local now = tonumber(ARGV[1])
local orders, keys, runs = {}, {}, {}
local at, count = 2, 0
while at <= #ARGV do
  local run = { name = ARGV[at + 1], units = tonumber(ARGV[at + 2]), owed = ARGV[at + 4] == 'o', last = count + ARGV[at] }
  local price = pool_of(run.name).price
  run.taken = price and ('T' .. price) or 'T'
  run.tail = ' ' .. ARGV[at + 2] .. ' ' .. ARGV[at + 4] .. ' ' .. (price or ARGV[at + 3]) .. ' ' .. ARGV[1] .. ' '
    .. ARGV[at + 5]
  runs[#runs + 1] = run
  at = at + 6
  while count < run.last do
    count = count + 1
    orders[count], keys[count] = ARGV[at], ARGV[at + 1]
    at = at + 2
  end
end
read_buyers(keys)

-- Most numbers are newer than all that ever came here: these are not looked up.
local tickets, marks, older, places = {}, {}, {}, {}
local before = newest
for i = 1, count do
  if orders[i] <= before then
    older[#older + 1], places[#places + 1] = orders[i], i
  elseif orders[i] > newest then
    newest = orders[i]
  end
end
if #older > 0 then
  local known_tickets = call('HMGET', TICKETS, unpack(older))
  local known_marks = call('ZMSCORE', MARKS, unpack(older))
  for i = 1, #older do
    tickets[places[i]], marks[places[i]] = known_tickets[i], known_marks[i]
  end
end

local reply, fresh, values, taken = { 'OK', meta[2] }, {}, {}, {}
local i = 0
for r = 1, #runs do
  local run = runs[r]
  while i < run.last do
    i = i + 1
    local order = orders[i]
    local known = tickets[i] or fresh[order]
    local state = state_of(marks[i])
    local answer
    if known then
      answer = 'R' .. known
    elseif state == SETTLED then
      answer = 'S'
    elseif state or order <= presumed then
      answer = 'W'
    else
      local buyer = buyers[keys[i]]
      answer = judge(run.name, buyer, run.units, now)
      if not answer then
        take(run.name, buyer, run.units, order)
        pools[run.name].held = pools[run.name].held + run.units
        if run.owed then
          buyer.owed, buyer.changed = buyer.owed .. order, true
        end
        local ticket = keys[i] .. run.tail
        fresh[order] = ticket
        values[#values + 1] = order
        values[#values + 1] = ticket
        taken[#taken + 1] = order
        answer = run.taken
      end
    end
    reply[i + 2] = answer
  end
end
if #taken > 0 then
  call('HSET', TICKETS, unpack(values))
  call('ZADD', AGES, ARGV[1], table.concat(taken))
  write_accounts()
  if newest ~= before then call('HSET', META, 'newest', newest) end
end
return reply
