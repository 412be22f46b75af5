-- Write a logout, at one instant.
-- KEYS: sessions, cut-off, its floor, log, idempotency key, cut-off of everyone, receipt, users of
--   the logout, epoch, leases, caller's tombstone, pace of the user's own logouts, message,
--   sessions per token
-- ARGV: logout (JSON), scope's session to end alone, session to keep, session to end by name,
--   must it exist, write a cut-off, lifetime (ms), has a key, fingerprint, key's lifetime (ms),
--   prefix of tombstones, prefix of session keys, user or '' for everyone, lease (us), channel,
--   only repeat, only claim, does it mend, epoch to mend, a fresh epoch, receipt's lifetime (ms),
--   caller's begun or '', nbf and exp (us), the epoch that is believed or '', the logout without its
--   message (JSON), its message or '', the two keys of the bus, what one logout costs of the pace
--   and how much may be had at once (us; 0 for no limit), lifetime of the log's entries (ms)
-- Answers {'done', at, logout, 'PREVIOUS ENTRY' (ids), sid, device, online, ...}; {'missing'},
-- {'reused'}, {'doubtful'} or {'limited', wait (us)} when nothing was changed. The same key again
-- answers what it answered first, with 'again' for 'done'.
-- The first write is one that Redis refuses when its memory is full: a script that has begun to
-- write is let through, and would end sessions without a trace.
local text, only, keep, also = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local must_exist, cuts, lifetime = ARGV[5] == '1', ARGV[6] == '1', tonumber(ARGV[7])
local keyed, fingerprint = ARGV[8] == '1', ARGV[9]
local tombstones, sessions, user = ARGV[11], ARGV[12], ARGV[13]

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local epoch = redis.call('GET', KEYS[9]) or ''
local function stamped(text) return text and tonumber(string.match(text, '^%d+')) or -1 end
local before = redis.call('GET', KEYS[2])
local everyone_at = stamped(redis.call('GET', KEYS[6]))

-- As Command.caller in hub/store/base.py says.
if ARGV[22] ~= '' then
  local begun, trusted = tonumber(ARGV[22]), ARGV[25]
  if redis.call('EXISTS', KEYS[11]) == 1 or begun <= stamped(before) or begun <= everyone_at
    or now < tonumber(ARGV[23]) or now >= tonumber(ARGV[24])
    or string.match(epoch, ' lost$') or (trusted ~= '' and trusted ~= epoch)
  then return {'doubtful'} end
end

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
if ARGV[18] == '1' and epoch ~= ARGV[19] then return {'missing'} end

if must_exist and tonumber(redis.call('ZSCORE', KEYS[1], also) or 0) <= now then
  return {'missing'}
end

-- As take in hub/core/rate.py.
local cost, window = tonumber(ARGV[30]), tonumber(ARGV[31])
if cost > 0 and ARGV[17] ~= '1' then
  local ends = math.max(tonumber(redis.call('GET', KEYS[12]) or 0), now) + cost
  local wait = ends - now - window
  if wait > 0 then return {'limited', string.format('%.0f', wait)} end
  local left = string.format('%.0f', math.ceil((ends - now) / 1000))
  redis.call('SET', KEYS[12], string.format('%.0f', ends), 'PX', left)
end

-- Neither a cut-off nor a tombstone goes back, even when the server's clock does.
local at = math.max(now, stamped(before) + 1)
if also ~= '' then at = math.max(at, stamped(redis.call('GET', tombstones .. also)) + 1) end
local stamp = string.format('%.0f', at)
local record = stamp .. ' ' .. text

local function remember(answer)
  redis.call('HSET', KEYS[5], 'fingerprint', fingerprint, 'answer', cjson.encode(answer))
  redis.call('PEXPIRE', KEYS[5], ARGV[10])
end

if ARGV[17] == '1' then
  local answer = {'done', stamp, text, ''}
  remember(answer)
  return answer
end

-- Whoever holds sockets of a session owes the receipt a report.
local since = now - tonumber(ARGV[14])
local owing, row = {}, {}
local function owe(names)
  for _, name in ipairs(names) do owing[name] = true end
  return table.concat(names, ',')
end

redis.call('HSET', KEYS[7], 'logout', record)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))

local answer = {'done', stamp, text, ''}
local named = false
for _, sid in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if sid ~= keep and (only == '' or sid == only) then
    local key = sessions .. sid
    local fields, known = redis.call('HGETALL', key), {}
    for i = 1, #fields, 2 do known[fields[i]] = fields[i + 1] end
    -- A session that a logout of everyone had ended is not ended again.
    if tonumber(known.begun or 0) > everyone_at or sid == also then
      local device = known.device or ''
      local names = holders(fields, KEYS[10], since)
      for _, value in ipairs({sid, device, #names > 0 and '1' or '0'}) do
        table.insert(answer, value)
      end
      table.insert(row, 's:' .. sid)
      table.insert(row, 'offline|' .. owe(names) .. '|' .. device)
      named = named or sid == also
    end
    redis.call('DEL', key)
    redis.call('ZREM', KEYS[1], sid)
    if known.per_token then redis.call('ZREM', KEYS[14], sid) end
  end
end
if also ~= '' and not named then
  for _, value in ipairs({also, '', '0'}) do table.insert(answer, value) end
  table.insert(row, 's:' .. also)
  table.insert(row, 'offline||')
end
-- The message stands once, however many sessions were ended.
local short = stamp .. ' ' .. ARGV[26]
if ARGV[27] ~= '' then redis.call('SET', KEYS[13], ARGV[27], 'PX', lifetime) end
for i = 5, #answer, 3 do
  redis.call('SET', tombstones .. answer[i], short, 'PX', lifetime)
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

if user == '' then
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[10], since, '+inf')) do
    owe({name})
    table.insert(row, 'o:' .. name)
    table.insert(row, '1')
  end
  -- Before a logout of everyone nothing counts, so whatever was lost of it matters no more.
  if epoch == '' or string.match(epoch, ' lost$') then
    redis.call('SET', KEYS[9], ARGV[20] .. ' mended')
  end
end
for i = 1, #row, 2 do redis.call('HSET', KEYS[7], row[i], row[i + 1]) end
redis.call('PEXPIRE', KEYS[7], ARGV[21])
redis.call('SADD', KEYS[8], user)
redis.call('PEXPIRE', KEYS[8], ARGV[21])

local names = {}
for name in pairs(owing) do table.insert(names, name) end
local leases = #names > 0 and table.concat(names, ',') or '-'
local oldest = string.format('%.0f', math.floor((now / 1000) - tonumber(ARGV[32])))
local before_it = redis.call('XREVRANGE', KEYS[4], '+', '-', 'COUNT', 1)
local entry = redis.call(
  'XADD', KEYS[4], 'MINID', '~', oldest, '*', 'logout', record, 'leases', leases
)
local previous = before_it[1] and before_it[1][1] or '0-0'
answer[4] = previous .. ' ' .. entry
-- As sign in hub/core/bus.py.
local known_as = string.match(epoch, '^%S+') or '-'
local message = table.concat({previous, entry, known_as, leases, record}, ' ')
local inner = redis.sha1hex(ARGV[28] .. ARGV[15] .. ' ' .. message)
redis.call('PUBLISH', ARGV[15], redis.sha1hex(ARGV[29] .. inner) .. ' ' .. message)
if keyed then remember(answer) end
return answer
