-- Part of the scripts that leave marks, after the fence: the time of marking, and forgetting what is old.

local KEPT_MS = 48 * 3600000
local time = call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local function mark(state)
  return now_ms * 4 + state
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
