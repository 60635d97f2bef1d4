-- Part of the scripts that change accounts, after the fence: pools and buyers, read when first used and written once.

local pools, buyers = {}, {}

-- Units free and held, and terms of a sale's pool; `free` is nil if the pool is not there.
local function pool_of(name)
  local pool = pools[name]
  if not pool then
    local read = call('HMGET', POOLS, 'f' .. name, 'h' .. name, 't' .. name)
    pool = { free = tonumber(read[1]), held = tonumber(read[2]) or 0 }
    if name ~= '0' and read[3] then
      local opens, closes, price, most, closed = string.match(read[3], '^(%d+) (%d+) (%d+) (%d+) (%d)$')
      pool.sale, pool.opens, pool.closes = true, tonumber(opens), tonumber(closes)
      pool.price, pool.most, pool.closed = price, tonumber(most), closed == '1'
    end
    pools[name] = pool
  end
  return pool
end

local function add_buyer(key, text)
  local buyer = { units = 0, latest = '-', owed = '' }
  if text then
    local units, latest, owed = string.match(text, '^(%d+) (%S+) (%w*)$')
    buyer.units, buyer.latest, buyer.owed = tonumber(units), latest, owed
  end
  buyers[key] = buyer
  return buyer
end

-- Reads the accounts of these buyers in one command.
local function read_buyers(keys)
  local texts = call('HMGET', BUYERS, unpack(keys))
  for i = 1, #keys do
    if not buyers[keys[i]] then
      add_buyer(keys[i], texts[i])
    end
  end
end

-- domain::stock::judge after the markers: window, limit, stock. Nil if the units can be taken, else the refusal.
local function judge(name, buyer, units, now)
  local pool = pool_of(name)
  if not pool.free or (name ~= '0' and not pool.sale) then
    return 'P'
  end
  if pool.sale then
    if pool.closed then
      return 'E'
    elseif now < pool.opens then
      return string.format('N%.0f', pool.opens)
    elseif now >= pool.closes then
      return 'E'
    elseif buyer.units >= pool.most then
      return 'B' .. buyer.latest
    elseif buyer.units + units > pool.most then
      return 'L' .. pool.most
    end
  end
  if pool.free <= 0 then
    return 'O'
  elseif pool.free < units then
    return 'K' .. pool.free
  end
end

local function take(name, buyer, units, order)
  local pool = pool_of(name)
  pool.free, pool.changed = pool.free - units, true
  if name ~= '0' then
    buyer.units, buyer.latest, buyer.changed = buyer.units + units, order, true
  end
end

local function give_back(name, buyer, units)
  local pool = pool_of(name)
  pool.free, pool.changed = (pool.free or 0) + units, true
  if name ~= '0' then
    buyer.units, buyer.changed = math.max(buyer.units - units, 0), true
  end
end

-- The order is no longer an unsettled ticket.
local function unhold(name, buyer, units, order)
  local pool = pool_of(name)
  pool.held, pool.changed = pool.held - units, true
  local at = string.find(buyer.owed, order, 1, true)
  if at then
    buyer.owed, buyer.changed = string.sub(buyer.owed, 1, at - 1) .. string.sub(buyer.owed, at + 26), true
  end
end

local function write_accounts()
  local fields, written, emptied = {}, {}, {}
  for name, pool in pairs(pools) do
    if pool.changed then
      insert(fields, 'f' .. name)
      insert(fields, pool.free or 0)
      insert(fields, 'h' .. name)
      insert(fields, pool.held)
    end
  end
  for key, buyer in pairs(buyers) do
    if buyer.changed then
      if buyer.units == 0 and buyer.owed == '' then
        insert(emptied, key)
      else
        written[#written + 1] = key
        written[#written + 1] = buyer.units .. ' ' .. buyer.latest .. ' ' .. buyer.owed
      end
    end
  end
  if #fields > 0 then call('HSET', POOLS, unpack(fields)) end
  if #written > 0 then call('HSET', BUYERS, unpack(written)) end
  if #emptied > 0 then call('HDEL', BUYERS, unpack(emptied)) end
end
