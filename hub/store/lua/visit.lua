-- Look at a session, and with ARGV[1] = '1' enter it in the registry, at one instant.
-- KEYS: tombstone, session, sessions, cut-off of the user, its floor, cut-off of everyone,
--   epoch, what the registry was last cleared for, sessions per token
-- ARGV: write, sid, begun, exp, device, ip, lease, turn, most sessions, lifetime (ms),
--   does the device's name replace an older one, leases, prefix of messages, login time or '',
--   is the session per token, the session per token that it goes on from or '', lease (us)
-- Answers {now, tombstone, {cut-offs}, the session's fields, renewals, epoch, the tombstone's
-- message}, or {'full'}.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local stamp = string.format('%.0f', now)
local tombstone = redis.call('GET', KEYS[1])
local sid, begun, exp, lease = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[7]
local per_token, replaces, since = ARGV[15] == '1', ARGV[16], now - tonumber(ARGV[17])
local prefix = string.sub(KEYS[2], 1, #KEYS[2] - #sid)
local MOST_TRIED = 20

-- As outlives in hub/core/revocation.py.
local function outlives()
  return ARGV[14] ~= '' and tonumber(ARGV[14]) > tonumber(string.match(tombstone, '^%d+'))
end

local cutoffs = {}
for i = 4, 6 do
  local record = redis.call('GET', KEYS[i])
  if record then table.insert(cutoffs, record) end
end

-- As may_register in hub/core/revocation.py, which says why this is not the rule.
local function may_register(session, issued)
  for _, record in ipairs(cutoffs) do
    local at, text = string.match(record, '^(%d+) (.*)$')
    local logout = cjson.decode(text)
    local kept = logout.scope == 'others' and logout.sid == session
    if issued <= tonumber(at) and not kept then return false end
  end
  return true
end

-- Sessions that a logout of everyone ended stand in the registry until their place is needed.
-- They are looked for once after each logout, not at each try: that reads every session.
local function count() return redis.call('ZCOUNT', KEYS[3], '(' .. stamp, '+inf') end
local function clear()
  local times = {}
  for _, record in ipairs(cutoffs) do table.insert(times, string.match(record, '^%d+')) end
  local cause = table.concat(times, ' ')
  if (redis.call('GET', KEYS[8]) or '') == cause then return end
  -- First a write that Redis refuses when its memory is full.
  redis.call('SET', KEYS[8], cause, 'PX', ARGV[10])
  for _, other in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    local issued = tonumber(redis.call('HGET', prefix .. other, 'begun') or 0)
    if not may_register(other, issued) then
      redis.call('DEL', prefix .. other)
      redis.call('ZREM', KEYS[3], other)
    end
  end
end

local function drop(other)
  redis.call('DEL', prefix .. other)
  redis.call('ZREM', KEYS[3], other)
  redis.call('ZREM', KEYS[9], other)
end

-- The sessions per token that nobody holds give way, first the one that was seen longest ago. Those
-- that are held are passed over, and looked at last the next time.
local function give_way()
  for _, other in ipairs(redis.call('ZRANGE', KEYS[9], 0, MOST_TRIED - 1)) do
    if count() < tonumber(ARGV[9]) then return end
    local names = holders(redis.call('HGETALL', prefix .. other), ARGV[12], since)
    if #names > 0 then redis.call('ZADD', KEYS[9], stamp, other) else drop(other) end
  end
end

local function is_full()
  if count() < tonumber(ARGV[9]) then return false end
  clear()
  if count() >= tonumber(ARGV[9]) then give_way() end
  return count() >= tonumber(ARGV[9])
end

-- The row of the same device's token before, which moves along unless somebody else holds it.
local function find_moved()
  if replaces == '' or replaces == sid then return nil end
  local fields, row = redis.call('HGETALL', prefix .. replaces), {}
  for i = 1, #fields, 2 do row[fields[i]] = fields[i + 1] end
  if row.per_token ~= '1' then return nil end
  for _, name in ipairs(holders(fields, ARGV[12], since)) do
    if name ~= lease then return nil end
  end
  return row
end

local enters, moved = false, nil
if ARGV[1] == '1' and exp > now and (not tombstone or outlives()) then
  enters = tonumber(redis.call('ZSCORE', KEYS[3], sid) or 0) > now
  if not enters and may_register(sid, begun) then
    moved = find_moved()
    if not moved and is_full() then return {'full'} end
    enters = true
  end
end

if enters then
  local old = redis.call('HMGET', KEYS[2], 'begun', 'expires_at')
  local expires = math.max(exp, tonumber(old[2] or 0))
  local expires_stamp = string.format('%.0f', expires)
  -- First a write that Redis refuses when its memory is full, and then those that free some.
  redis.call('HSETNX', KEYS[2], 'created_at', moved and moved.created_at or stamp)
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', stamp)
  if moved then
    redis.call('HSETNX', KEYS[2], 'device', moved.device)
    drop(replaces)
  end
  redis.call(ARGV[11] == '1' and 'HSET' or 'HSETNX', KEYS[2], 'device', ARGV[5])
  redis.call('HSET', KEYS[2], 'ip', ARGV[6], 'last_seen_at', stamp, 'expires_at', expires_stamp)
  if not old[1] or begun > tonumber(old[1]) then
    redis.call('HSET', KEYS[2], 'begun', ARGV[3], 'registered_at', stamp)
  end
  if per_token then
    redis.call('HSET', KEYS[2], 'per_token', '1')
    redis.call('ZADD', KEYS[9], stamp, sid)
    redis.call('ZREMRANGEBYSCORE', KEYS[9], '-inf', string.format('%.0f', now - ARGV[10] * 1000))
    redis.call('PEXPIRE', KEYS[9], ARGV[10])
  end
  if lease ~= '' then
    redis.call('HSET', KEYS[2], '@' .. lease, ARGV[8])
  end
  redis.call('PEXPIREAT', KEYS[2], string.format('%.0f', math.ceil(expires / 1000)))
  redis.call('ZADD', KEYS[3], expires_stamp, sid)
  redis.call('PEXPIRE', KEYS[3], ARGV[10])
end

local fields = redis.call('HGETALL', KEYS[2])
local _, renewals = holders(fields, ARGV[12], now)
local epoch = redis.call('GET', KEYS[7]) or ''
local message = ''
if tombstone then
  local logout = cjson.decode(string.match(tombstone, '^%d+ (.*)$'))
  message = redis.call('GET', ARGV[13] .. logout.id) or ''
end
return {stamp, tombstone or '', cutoffs, fields, renewals, epoch, message}
