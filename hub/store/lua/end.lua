-- Write a logout, at one instant.
-- KEYS: sessions, cut-off, its floor, log, idempotency key, cut-off of everyone
-- ARGV: logout (JSON), scope's session to end alone, session to keep, session to end by name,
--   must it exist, write a cut-off, lifetime (ms), has a key, fingerprint, key's lifetime (ms),
--   prefix of tombstones, prefix of session keys, prefix of leases, lease (us), channel,
--   only repeat
-- Answers {'done', at, logout, sid, device, online, ...}; {'missing'} or {'reused'} when nothing
-- was changed. The same key again answers what it answered first, with 'again' for 'done'.
local text, only, keep, also = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local must_exist, cuts, lifetime = ARGV[5] == '1', ARGV[6] == '1', tonumber(ARGV[7])
local keyed, fingerprint = ARGV[8] == '1', ARGV[9]
local tombstones, sessions, leases = ARGV[11], ARGV[12], ARGV[13]

if keyed then
  local first = redis.call('HMGET', KEYS[5], 'fingerprint', 'answer')
  if first[1] then
    if first[1] ~= fingerprint then return {'reused'} end
    local answer = cjson.decode(first[2])
    answer[1] = 'again'
    return answer
  end
end

if ARGV[16] == '1' then return {'missing'} end

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
if must_exist and not redis.call('ZSCORE', KEYS[1], also) then return {'missing'} end

-- A cut-off never goes back, even when the server's clock does.
local at = now
local before = redis.call('GET', KEYS[2])
if before then at = math.max(now, tonumber(string.match(before, '^%d+')) + 1) end
local stamp = string.format('%.0f', at)
local record = stamp .. ' ' .. text

local function is_online(fields)
  for _, renewed in ipairs(renewals(fields, leases)) do
    if now - tonumber(renewed) < tonumber(ARGV[14]) then return '1' end
  end
  return '0'
end

-- A session that a logout of everyone had ended is not ended again.
local everyone = redis.call('GET', KEYS[6])
local everyone_at = everyone and tonumber(string.match(everyone, '^%d+')) or -1

local answer = {'done', stamp, text}
local named = false
for _, sid in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if sid ~= keep and (only == '' or sid == only) then
    local key = sessions .. sid
    local fields = redis.call('HGETALL', key)
    local iat = tonumber(redis.call('HGET', key, 'iat') or 0)
    if iat > everyone_at or sid == also then
      table.insert(answer, sid)
      table.insert(answer, redis.call('HGET', key, 'device') or '')
      table.insert(answer, is_online(fields))
      named = named or sid == also
    end
    redis.call('DEL', key)
    redis.call('ZREM', KEYS[1], sid)
  end
end
if also ~= '' and not named then
  for _, value in ipairs({also, '', '0'}) do table.insert(answer, value) end
end
for i = 4, #answer, 3 do
  redis.call('SET', tombstones .. answer[i], record, 'PX', lifetime)
end
if cuts then
  -- As supersede in hub/core/revocation.py: what ended the kept session is remembered.
  local left = math.max(lifetime, redis.call('PTTL', KEYS[2]))
  local kept_before = before and cjson.decode(string.match(before, '^%d+ (.*)$'))
  if keep == '' then
    redis.call('DEL', KEYS[3])
  elseif before and not (kept_before.scope == 'others' and kept_before.sid == keep) then
    redis.call('SET', KEYS[3], before, 'PX', left)
  elseif redis.call('EXISTS', KEYS[3]) == 1 then
    redis.call('PEXPIRE', KEYS[3], left)
  end
  redis.call('SET', KEYS[2], record, 'PX', left)
end

local oldest = string.format('%.0f', math.floor((now / 1000) - lifetime))
redis.call('XADD', KEYS[4], 'MINID', '~', oldest, '*', 'logout', record)
redis.call('PUBLISH', ARGV[15], record)
if keyed then
  redis.call('HSET', KEYS[5], 'fingerprint', fingerprint, 'answer', cjson.encode(answer))
  redis.call('PEXPIRE', KEYS[5], ARGV[10])
end
return answer
