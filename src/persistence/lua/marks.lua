-- Part of the scripts that leave marks, after the fence: the time of marking, the newest mark, and forgetting what is old.

local KEPT_MS = 48 * 3600000
local time = call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local function mark(state)
  return now_ms * 4 + state
end

-- Remembers that these orders have marks, so that a later claim under one of them is looked up.
local function note_newest(orders)
  local before = newest
  for i = 1, #orders do
    if orders[i] > newest then newest = orders[i] end
  end
  if newest ~= before then
    call('HSET', META, 'newest', newest)
  end
end

-- Forgets up to `most` marks older than 48 h. They are presumed from then on, like every number below them.
local function forget_marks(most)
  local old = call('ZRANGEBYSCORE', MARKS, '-inf', (now_ms - KEPT_MS) * 4, 'LIMIT', 0, most)
  if #old == 0 then
    return
  end
  for i = 1, #old do
    if old[i] > presumed then presumed = old[i] end
  end
  call('ZREM', MARKS, unpack(old))
  call('HDEL', GONE, unpack(old))
  call('HSET', META, 'presumed', presumed)
end
