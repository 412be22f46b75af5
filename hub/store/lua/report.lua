-- Add a replica's report to a logout's receipt.
-- Values: lease: the replica's; is_done: whether this is its last report; rank: of each state;
--   sessions: {sid, state, what failed}...
-- A row is 'state|leases whose reports are pending|device'.
local given, receipt = cmsgpack.unpack(ARGV[1]), KEYS[1]
if redis.call('EXISTS', receipt) == 0 then return 0 end
local lease, rank = given.lease, given.rank

local reported = {}
for _, session in ipairs(given.sessions) do
  local sid, state, failed = unpack(session)
  reported[sid] = state
  if failed ~= '' then redis.call('HSET', receipt, 'f:' .. lease .. ':' .. sid, failed) end
end

local fields, rows = redis.call('HGETALL', receipt), {}
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 2) == 's:' then
    local state, pending, device = string.match(fields[i + 1], '^(%a+)|([^|]*)|(.*)$')
    local left, is_mine = {}, false
    for name in string.gmatch(pending, '[^,]+') do
      if name == lease then is_mine = true end
      if name ~= lease or not given.is_done then table.insert(left, name) end
    end
    local new = reported[string.sub(fields[i], 3)]
    if is_mine or new then
      if new and rank[new] > rank[state] then state = new end
      table.insert(rows, fields[i])
      table.insert(rows, state .. '|' .. table.concat(left, ',') .. '|' .. device)
    end
  end
end
run_with('HSET', receipt, rows)
return 1
