-- Takes the units of a returned order again and lifts its tombstone; judged like a new claim.
--
-- Keys: 1 to 7 of fence.lua. Arguments: now ms, order, pool, <pool>:<buyer>, units, and what the database says of the
-- order: o there is one, n there is none, ? not asked yet.
-- Reply: 'OK', then T taken (now or before), A ask the database first, or a refusal as in reserve.lua. A presumed order
-- is taken for a returned one: only a cancelled order is retaken, and the units of one were given back or still will be.
-- Cost: about 12 us.
local now, order, name, key, units, word = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local state = state_of(call('ZSCORE', MARKS, order))
if state == SETTLED or call('HEXISTS', TICKETS, order) == 1 then
  return { 'OK', 'T' }
end
if state ~= RETURNED_SETTLED then
  if word == 'n' or not (state == RETURNED or order <= presumed) then
    return { 'OK', 'W' }
  elseif word == '?' then
    return { 'OK', 'A' }
  end
end
read_buyers({ key })
local refusal = judge(name, buyers[key], units, now)
if refusal then
  return { 'OK', refusal }
end
take(name, buyers[key], units, order)
write_accounts()
call('ZADD', MARKS, mark(SETTLED), order)
call('HDEL', GONE, order)
note_newest({ order })
return { 'OK', 'T' }
