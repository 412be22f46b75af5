-- Add a replica's report to the receipt of a logout of everyone.
-- Values: lease: the replica's; is_done: whether this is its last report; rank: of each state;
--   says_all: whether it has now reported all sessions that it holds; listed: {session, device}...;
--   sessions: {session, state, what failed}...
-- A row is 'state|leases whose reports are pending|what failed|device'. The receipt counts rows in
-- 'c:STATE:PENDING', and has 'o:LEASE' for each replica whose report is pending: 2 once it has
-- reported all sessions that it holds.
local given = cmsgpack.unpack(ARGV[1])
local receipt, rows = unpack(KEYS)
if redis.call('EXISTS', receipt) == 0 then return 0 end
local lease, rank, moved = given.lease, given.rank, {}

local function count(state, pending, step)
  local name = 'c:' .. state .. ':' .. (pending == '' and 0 or 1)
  moved[name] = (moved[name] or 0) + step
end

local function without_lease(names)
  local left = {}
  for name in string.gmatch(names, '[^,]+') do
    if name ~= lease then table.insert(left, name) end
  end
  return left
end

local function unite(failed, more)
  for name in string.gmatch(more, '[^,]+') do
    if not string.find(',' .. failed .. ',', ',' .. name .. ',', 1, true) then
      failed = failed == '' and name or failed .. ',' .. name
    end
  end
  return failed
end

local function enter(session, device, is_pending, reported, failures)
  local old = redis.call('HGET', rows, session)
  local state, pending, failed, known = 'offline', '', '', device
  if old then
    state, pending, failed, known = string.match(old, '^(%a+)|([^|]*)|([^|]*)|(.*)$')
    count(state, pending, -1)
  end
  local left = without_lease(pending)
  if is_pending then table.insert(left, lease) end
  pending = table.concat(left, ',')
  if reported and rank[reported] > rank[state] then state = reported end
  count(state, pending, 1)
  local row = table.concat({state, pending, unite(failed, failures), known}, '|')
  redis.call('HSET', rows, session, row)
end

for _, one in ipairs(given.listed) do enter(one[1], one[2], true, nil, '') end
for _, one in ipairs(given.sessions) do enter(one[1], '', false, one[2], one[3]) end
if #given.listed + #given.sessions > 0 then
  redis.call('PEXPIRE', rows, redis.call('PTTL', receipt))
end
for name, step in pairs(moved) do
  local known = tonumber(redis.call('HGET', receipt, name) or 0)
  redis.call('HSET', receipt, name, string.format('%.0f', known + step))
end
if given.says_all and redis.call('HGET', receipt, 'o:' .. lease) then
  redis.call('HSET', receipt, 'o:' .. lease, '2')
end
if given.is_done then redis.call('HDEL', receipt, 'o:' .. lease) end
return 1
