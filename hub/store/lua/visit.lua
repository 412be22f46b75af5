-- Look at a session, and with ARGV[1] = '1' enter it in the registry, at one instant.
-- KEYS: tombstone, session, sessions, cut-off of the user, its floor, cut-off of everyone,
--   epoch, what the registry was last cleared for
-- ARGV: write, sid, iat, exp, device, ip, lease, turn, most sessions, lifetime (ms),
--   does the device's name replace an older one, leases, prefix of messages
-- Answers {now, tombstone, {cut-offs}, the session's fields, renewals, epoch, the tombstone's
-- message}, or {'full'}.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local stamp = string.format('%.0f', now)
local tombstone = redis.call('GET', KEYS[1])
local sid, iat, exp, lease = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[7]

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
local function is_full()
  local function count() return redis.call('ZCOUNT', KEYS[3], '(' .. stamp, '+inf') end
  if count() < tonumber(ARGV[9]) then return false end
  local times = {}
  for _, record in ipairs(cutoffs) do table.insert(times, string.match(record, '^%d+')) end
  local cause = table.concat(times, ' ')
  if (redis.call('GET', KEYS[8]) or '') == cause then return true end
  -- First a write that Redis refuses when its memory is full.
  redis.call('SET', KEYS[8], cause, 'PX', ARGV[10])
  local prefix = string.sub(KEYS[2], 1, #KEYS[2] - #sid)
  for _, other in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    local issued = tonumber(redis.call('HGET', prefix .. other, 'iat') or 0)
    if not may_register(other, issued) then
      redis.call('DEL', prefix .. other)
      redis.call('ZREM', KEYS[3], other)
    end
  end
  return count() >= tonumber(ARGV[9])
end

local enters = false
if ARGV[1] == '1' and not tombstone and exp > now then
  enters = tonumber(redis.call('ZSCORE', KEYS[3], sid) or 0) > now
  if not enters and may_register(sid, iat) then
    if is_full() then return {'full'} end
    enters = true
  end
end

if enters then
  local old = redis.call('HMGET', KEYS[2], 'iat', 'expires_at')
  local expires = math.max(exp, tonumber(old[2] or 0))
  local expires_stamp = string.format('%.0f', expires)
  -- First a write that Redis refuses when its memory is full, and then those that free some.
  redis.call('HSETNX', KEYS[2], 'created_at', stamp)
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', stamp)
  redis.call(ARGV[11] == '1' and 'HSET' or 'HSETNX', KEYS[2], 'device', ARGV[5])
  redis.call('HSET', KEYS[2], 'ip', ARGV[6], 'last_seen_at', stamp, 'expires_at', expires_stamp)
  if not old[1] or iat > tonumber(old[1]) then
    redis.call('HSET', KEYS[2], 'iat', ARGV[3], 'registered_at', stamp)
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
