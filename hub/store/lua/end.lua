-- Write a logout atomically.
-- Values:
--   logout: the logout (JSON); message: its message, and bare: the logout without it; or nil
--   user: or '' for everyone
--   only, kept_sid: the session that scope session ends, and the one that scope others keeps; or nil
--   also: a session to end by name, or nil; must_exist: whether that must be registered
--   cuts_off: whether to write a cut-off
--   before: end only logins begun at or before this time (us), or nil
--   fingerprint: of the request with an idempotency key; nil without a key
--   caller: begun, nbf and exp (us) of the token that must surely be alive, and the trusted epoch,
--     '' for any; or nil
--   pace: the user's rate limit: the cost of one logout and the window (us), or nil
--   lost_epoch: the epoch to recover from, or nil; fresh_epoch: a name for a new one, for everyone
--   lease_time: how long a lease lasts (us)
--   lifetime_ms, receipt_ms, key_ms: how long entries are kept
--   tombstone_prefix, session_prefix: of keys
--   channel, inner, outer: of publish
-- Returns {'done', at, logout, 'PREVIOUS ENTRY' (ids), sid, device, online, ...}; or, if nothing was
-- changed, {'known', fingerprint, first answer (JSON)} for a used idempotency key, {'missing'},
-- {'unsure'}, {'recovered'} if another replica has recovered, or {'limited', wait (us)}.
-- The first write must be a command that Redis refuses when its memory is full: later commands of a
-- script are not refused, and would delete sessions without writing the logout.
local sessions, cutoff_key, kept_key, log, key, everyone_key, receipt, users, epoch_key, leases,
  callers_tombstone, paid_key, message_key, per_token, callers_refusal = unpack(KEYS)
local caller, pace, also = given.caller, given.pace, given.also
local epoch = redis.call('GET', epoch_key) or ''
local is_lost = string.match(epoch, ' lost$')
local cutoff, everyone = redis.call('GET', cutoff_key), redis.call('GET', everyone_key)

if caller then
  local is_ended = redis.call('EXISTS', callers_tombstone, callers_refusal) > 0
  local is_trusted = not is_lost and (caller.epoch == '' or caller.epoch == epoch)
  if not is_trusted or not is_surely_alive(caller, now, is_ended, {cutoff, everyone}) then
    return {'unsure'}
  end
end

if given.fingerprint then
  local first = redis.call('HMGET', key, 'fingerprint', 'answer')
  if first[1] then
    -- A write, so that the wait for durability covers the first one, made on another connection.
    redis.call('PEXPIRE', key, given.key_ms)
    return {'known', first[1], first[2]}
  end
end

if given.lost_epoch and epoch ~= given.lost_epoch then return {'recovered'} end

if given.must_exist and tonumber(redis.call('ZSCORE', sessions, also) or 0) <= now then
  return {'missing'}
end

if pace then
  local ends, wait = take(pace, tonumber(redis.call('GET', paid_key) or 0), now)
  if wait > 0 then return {'limited', digits(wait)} end
  redis.call('SET', paid_key, digits(ends), 'PX', digits(math.ceil((ends - now) / 1000)))
end

-- The times of cut-offs and tombstones never go back, even if the server's clock does.
local at = math.max(now, at_of(cutoff) + 1)
if also then at = math.max(at, at_of(redis.call('GET', given.tombstone_prefix .. also)) + 1) end
local record = digits(at) .. ' ' .. given.logout
local answer = {'done', digits(at), given.logout, ''}

-- The reports of the replicas that hold a session are pending.
local since = now - given.lease_time
local pending, rows, gone = {}, {}, {}
local function add_pending(names)
  for _, name in ipairs(names) do pending[name] = true end
  return table.concat(names, ',')
end

local function add(sid, device, names)
  for _, value in ipairs({sid, device, #names > 0 and '1' or '0'}) do
    table.insert(answer, value)
  end
  table.insert(rows, 's:' .. sid)
  table.insert(rows, 'offline|' .. add_pending(names) .. '|' .. device)
end

-- Return whether it was added to the answer: a logout of everyone may have ended it already.
local function end_session(sid, fields, row)
  local is_alive = sid == also or may_register(sid, tonumber(row.begun or 0), {everyone})
  if is_alive then add(sid, row.device or '', holders(fields, leases, since)) end
  redis.call('DEL', given.session_prefix .. sid)
  table.insert(gone, sid)
  if row.per_token then redis.call('ZREM', per_token, sid) end
  return is_alive
end

local function end_sessions()
  local is_added = false
  redis.call('ZREMRANGEBYSCORE', sessions, '-inf', stamp)
  for _, sid in ipairs(redis.call('ZRANGE', sessions, 0, -1)) do
    local is_meant = is_in_scope(given.only, given.kept_sid, sid)
    local fields = is_meant and redis.call('HGETALL', given.session_prefix .. sid)
    local row = fields and row_of(fields)
    if row and ends_registered(given.before, given.only ~= nil, row) then
      is_added = end_session(sid, fields, row) and sid == also or is_added
    end
  end
  run_with('ZREM', sessions, gone)
  if also and not is_added then add(also, '', {}) end
end

local function write_tombstones()
  -- The message is stored once for all tombstones.
  if given.message then redis.call('SET', message_key, given.message, 'PX', given.lifetime_ms) end
  for i = 5, #answer, 3 do
    local name = given.tombstone_prefix .. answer[i]
    local tombstone = digits(at) .. ' ' .. (given.bare or given.logout)
    if horizon_of(redis.call('GET', name)) < horizon_of(tombstone) then
      redis.call('SET', name, tombstone, 'PX', given.lifetime_ms)
    end
  end
end

local function write_cutoff()
  local left = math.max(given.lifetime_ms, redis.call('PTTL', cutoff_key))
  local older = redis.call('GET', kept_key)
  local newest, kept = supersede(record, cutoff, older)
  if kept then
    redis.call('SET', kept_key, kept, 'PX', left)
  elseif older then
    redis.call('DEL', kept_key)
  end
  redis.call('SET', cutoff_key, newest, 'PX', left)
end

local function open_everyones_receipt()
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', leases, digits(since), '+inf')) do
    add_pending({name})
    table.insert(rows, 'o:' .. name)
    table.insert(rows, '1')
  end
  -- After a logout of everyone, earlier logouts no longer matter: this recovers from a data loss.
  if epoch == '' or is_lost then
    redis.call('SET', epoch_key, given.fresh_epoch .. ' recovered')
  end
end

local function write_receipt()
  run_with('HSET', receipt, rows)
  redis.call('PEXPIRE', receipt, given.receipt_ms)
  redis.call('SADD', users, given.user)
  redis.call('PEXPIRE', users, given.receipt_ms)
end

local function publish_logout()
  local names, sids = {}, {}
  for name in pairs(pending) do table.insert(names, name) end
  for i = 5, #answer, 3 do
    if answer[i] ~= given.only then table.insert(sids, answer[i]) end
  end
  answer[4] = publish(log, epoch, record, names, sids)
end

redis.call('HSET', receipt, 'logout', record)
end_sessions()
write_tombstones()
if given.cuts_off then write_cutoff() end
if given.user == '' then open_everyones_receipt() end
write_receipt()
publish_logout()
if given.fingerprint then
  redis.call('HSET', key, 'fingerprint', given.fingerprint, 'answer', cjson.encode(answer))
  redis.call('PEXPIRE', key, given.key_ms)
end
return answer
