-- Opens every script but those of recovery: names the keys and turns away from an account that is not this process's.
--
-- Keys of one product, all under its hash tag; a script is given as many of them, from the left, as it uses:
--   1 meta       hash    run ("run_id:<id>" of the Redis process the account was written under), epoch, presumed (no
--                        number up to this text is unknown: see below), newest (no number above it has a ticket or a mark)
--   2 pools      hash    f<pool> -> units free, h<pool> -> units under unsettled tickets, t<pool> -> terms of the sale as
--                        "<opens ms> <closes ms> <price fen> <units a buyer> <1 if closed>"
--   3 buyers     hash    <pool>:<buyer> -> "<units> <latest order> <owed unsettled orders, 26 letters each>"
--   4 tickets    hash    order -> "<pool>:<buyer> <units> <o|p> <price fen> <accepted ms> <details as JSON>", unsettled only
--   5 ages       zset    the orders taken by one call, 26 letters each, by accepted ms; kept until none is unsettled
--   6 marks      zset    order by 4 * ms of marking + state: 1 settled, 2 returned unsettled, 3 returned settled
--   7 gone       hash    order -> its ticket as above, for state 2 only
--   8 steps      hash    step -> units moved
--   9 step ages  zset    step by ms
-- Two more are used by recovery only: turn (begin.lua) and ready:<random> (rebuild.lua).
--
-- Order numbers are texts that sort by their time. Marks are forgotten after 48 h, oldest first; `presumed` is moved up
-- to the highest forgotten number, so a number is either known, or above `presumed` and truly new, or presumed taken.
--
-- Reply {'LOST'} and nothing changed, if there is no account, or one of another process: after a restart with older
-- data, after a failover to a replica that lags, after FLUSHALL, on the new owner of a moved slot. The run id of a
-- process never changes and is never used again, so the comparison is exact; it takes about 4 us.
local META, POOLS, BUYERS, TICKETS, AGES, MARKS, GONE, STEPS, STEP_AGES = unpack(KEYS)
local call, insert = redis.call, table.insert
local meta = call('HMGET', META, 'run', 'epoch', 'presumed', 'newest')
if not meta[1] or not string.find(call('INFO', 'server'), meta[1], 1, true) then
  return { 'LOST' }
end
local presumed, newest = meta[3] or '', meta[4] or ''
local SETTLED, RETURNED, RETURNED_SETTLED = 1, 2, 3

local function state_of(mark)
  return mark and tonumber(mark) % 4
end
