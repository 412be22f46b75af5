-- Enter in a logout's receipt what a replica did for it.
-- KEYS: receipt
-- ARGV: lease, is it done, how many sessions, then (session, state, what failed) for each
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local lease, done, count = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3])
-- As RANK in hub/core/receipt.py.
local rank = {offline = 0, acknowledged = 1, notified = 2, cut = 3}

local told = {}
for i = 4, 3 + 3 * count, 3 do
  told[ARGV[i]] = ARGV[i + 1]
  if ARGV[i + 2] ~= '' then
    redis.call('HSET', KEYS[1], 'f:' .. lease .. ':' .. ARGV[i], ARGV[i + 2])
  end
end

local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 2) == 's:' then
    local state, owed, device = string.match(fields[i + 1], '^(%a+)|([^|]*)|(.*)$')
    local left, mine = {}, false
    for name in string.gmatch(owed, '[^,]+') do
      if name == lease then mine = true end
      if name ~= lease or not done then table.insert(left, name) end
    end
    local new = told[string.sub(fields[i], 3)]
    if mine or new then
      if new and rank[new] > rank[state] then state = new end
      local row = state .. '|' .. table.concat(left, ',') .. '|' .. device
      redis.call('HSET', KEYS[1], fields[i], row)
    end
  end
end
return 1
