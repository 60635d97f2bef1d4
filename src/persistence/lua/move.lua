-- Moves units into or out of a pool, once for each step.
--
-- Keys: 1 to 9 of fence.lua. Arguments: step, pool, in | exactly | upto | all, units.
-- Reply: 'OK', then the units moved, or P no such pool, O nothing left, K<units> only so many left. A refusal is not
-- remembered, a step for 8 days. Cost: about 12 us.
local STEPS_KEPT_MS = 8 * 24 * 3600000
local step, name, how, units = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local before = call('HGET', STEPS, step)
if before then
  return { 'OK', before }
end
local free = tonumber(call('HGET', POOLS, 'f' .. name))
if how == 'exactly' then
  if not free then
    return { 'OK', 'P' }
  elseif free == 0 and units > 0 then
    return { 'OK', 'O' }
  elseif free < units then
    return { 'OK', 'K' .. free }
  end
elseif how == 'upto' then
  units = math.min(units, free or 0)
elseif how == 'all' then
  units = free or 0
end
if how == 'in' then
  call('HINCRBY', POOLS, 'f' .. name, units)
elseif units ~= 0 then
  call('HINCRBY', POOLS, 'f' .. name, -units)
end
call('HSET', STEPS, step, units)
call('ZADD', STEP_AGES, now_ms, step)
local old = call('ZRANGEBYSCORE', STEP_AGES, '-inf', now_ms - STEPS_KEPT_MS, 'LIMIT', 0, 16)
if #old > 0 then
  call('ZREM', STEP_AGES, unpack(old))
  call('HDEL', STEPS, unpack(old))
end
return { 'OK', string.format('%.0f', units) }
