-- Enter in the receipt of a logout of everyone what a replica did for it.
-- KEYS: receipt, its rows
-- ARGV: lease, is it done, does it say which sessions it holds, how many (session, device) follow,
--   these, then (session, state, what failed) for each
-- A row is 'state|leases that owe|what failed|device'. The receipt counts rows in 'c:STATE:OWED',
-- and has 'o:LEASE' for each replica that owes a report: 2 once it has said which sessions it holds.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local lease, done, opens, count = ARGV[1], ARGV[2] == '1', ARGV[3] == '1', tonumber(ARGV[4])
-- As RANK in hub/core/receipt.py.
local rank = {offline = 0, acknowledged = 1, notified = 2, cut = 3}
local moved = {}

local function count_one(state, owed, step)
  local name = 'c:' .. state .. ':' .. (owed == '' and 0 or 1)
  moved[name] = (moved[name] or 0) + step
end

local function without(names)
  local left = {}
  for name in string.gmatch(names, '[^,]+') do
    if name ~= lease then table.insert(left, name) end
  end
  return left
end

local function enter(session, device, owes, told, failures)
  local old = redis.call('HGET', KEYS[2], session)
  local state, owed, failed, known = 'offline', '', '', device
  if old then
    state, owed, failed, known = string.match(old, '^(%a+)|([^|]*)|([^|]*)|(.*)$')
    count_one(state, owed, -1)
  end
  local left = without(owed)
  if owes then table.insert(left, lease) end
  owed = table.concat(left, ',')
  if told and rank[told] > rank[state] then state = told end
  for name in string.gmatch(failures, '[^,]+') do
    if not string.find(',' .. failed .. ',', ',' .. name .. ',', 1, true) then
      failed = failed == '' and name or failed .. ',' .. name
    end
  end
  count_one(state, owed, 1)
  local row = table.concat({state, owed, failed, known}, '|')
  redis.call('HSET', KEYS[2], session, row)
end

for i = 5, 4 + 2 * count, 2 do enter(ARGV[i], ARGV[i + 1], true, nil, '') end
for i = 5 + 2 * count, #ARGV, 3 do enter(ARGV[i], '', false, ARGV[i + 1], ARGV[i + 2]) end
if #ARGV > 4 then redis.call('PEXPIRE', KEYS[2], redis.call('PTTL', KEYS[1])) end
for name, step in pairs(moved) do
  local known = tonumber(redis.call('HGET', KEYS[1], name) or 0)
  redis.call('HSET', KEYS[1], name, string.format('%.0f', known + step))
end
if opens and redis.call('HGET', KEYS[1], 'o:' .. lease) then
  redis.call('HSET', KEYS[1], 'o:' .. lease, '2')
end
if done then redis.call('HDEL', KEYS[1], 'o:' .. lease) end
return 1
