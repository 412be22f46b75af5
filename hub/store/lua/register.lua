-- Register a session and read its revocation state, atomically.
-- Values:
--   sid, begun, exp, login_at: of the token; login_at is nil if the token does not state it
--   is_per_token: whether the token identifies no login; replaces: the session per token that this
--     one continues, or nil
--   user: the user
--   device, is_named: the device's name, and whether it replaces an older one
--   ip: its address
--   lease, sequence: the replica that holds a socket, and the order among its registrations; or nil
--   most_sessions: how many a user may have
--   lifetime_ms: how long tokens may live
--   lease_time: how long a lease lasts (us)
--   message_prefix: of the keys of logouts' messages
-- Returns the result of state_of, or {'full'}.
local tombstone_key, refusal, users, session, sessions, cutoff, kept_cutoff, everyone, epoch, leases,
  cleared, per_token = unpack(KEYS)
local sid, begun, replaces = given.sid, given.begun, given.replaces
local since = now - given.lease_time
local prefix = string.sub(session, 1, #session - #sid)
local tombstone = read_tombstone(tombstone_key, refusal)
local cutoffs = read_cutoffs({cutoff, kept_cutoff, everyone})
local MAX_TRIED = 20

local function drop(other)
  redis.call('DEL', prefix .. other)
  redis.call('ZREM', sessions, other)
  redis.call('ZREM', per_token, other)
end

local function has_room()
  return redis.call('ZCOUNT', sessions, '(' .. stamp, '+inf') < given.most_sessions
end

-- Remove the sessions that a logout of everyone ended, which stay registered until their place is
-- needed. This reads every session, so it is done once after each logout, not at each attempt.
local function clear()
  local times = {}
  for _, record in ipairs(cutoffs) do table.insert(times, string.match(record, '^%d+')) end
  local cause = table.concat(times, ' ')
  if (redis.call('GET', cleared) or '') == cause then return end
  -- The first write must be one that Redis refuses when its memory is full.
  redis.call('SET', cleared, cause, 'PX', given.lifetime_ms)
  for _, other in ipairs(redis.call('ZRANGE', sessions, 0, -1)) do
    local began = tonumber(redis.call('HGET', prefix .. other, 'begun') or 0)
    if not may_register(other, began, cutoffs) then
      redis.call('DEL', prefix .. other)
      redis.call('ZREM', sessions, other)
    end
  end
end

-- Remove sessions per token that no replica holds, least recently seen first. Sessions that are
-- held are skipped, and tried last the next time.
local function remove_unheld()
  for _, other in ipairs(redis.call('ZRANGE', per_token, 0, MAX_TRIED - 1)) do
    if has_room() then return end
    local names = holders(redis.call('HGETALL', prefix .. other), leases, since)
    if #names > 0 then redis.call('ZADD', per_token, stamp, other) else drop(other) end
  end
end

local function make_room()
  if has_room() then return true end
  clear()
  if has_room() then return true end
  remove_unheld()
  return has_room()
end

-- Return the row of the session that this one continues, unless another replica holds that.
local function find_moved()
  if not replaces or replaces == sid then return nil end
  local fields = redis.call('HGETALL', prefix .. replaces)
  local row = row_of(fields)
  if row.per_token ~= '1' then return nil end
  for _, name in ipairs(holders(fields, leases, since)) do
    if name ~= given.lease then return nil end
  end
  return row
end

local function enter(moved)
  local old = redis.call('HMGET', session, 'begun', 'expires_at')
  local expires = math.max(given.exp, tonumber(old[2] or 0))
  -- The first write must be one that Redis refuses when its memory is full.
  redis.call('HSETNX', session, 'created_at', moved and moved.created_at or stamp)
  redis.call('ZREMRANGEBYSCORE', sessions, '-inf', stamp)
  if moved then
    redis.call('HSETNX', session, 'device', moved.device)
    drop(replaces)
  end
  redis.call(given.is_named and 'HSET' or 'HSETNX', session, 'device', given.device)
  redis.call(
    'HSET', session, 'ip', given.ip, 'last_seen_at', stamp, 'expires_at', digits(expires)
  )
  if not old[1] or begun > tonumber(old[1]) then
    redis.call('HSET', session, 'begun', digits(begun), 'registered_at', stamp)
    if given.login_at then redis.call('HSET', session, 'login_at', digits(given.login_at)) end
  end
  redis.call('SADD', users, given.user)
  redis.call('PEXPIRE', users, given.lifetime_ms)
  if given.is_per_token then
    local too_old = digits(now - given.lifetime_ms * 1000)
    redis.call('HSET', session, 'per_token', '1')
    redis.call('ZADD', per_token, stamp, sid)
    redis.call('ZREMRANGEBYSCORE', per_token, '-inf', too_old)
    redis.call('PEXPIRE', per_token, given.lifetime_ms)
  end
  if given.lease then
    redis.call('HSET', session, '@' .. given.lease, digits(given.sequence))
  end
  redis.call('PEXPIREAT', session, digits(math.ceil(expires / 1000)))
  redis.call('ZADD', sessions, digits(expires), sid)
  redis.call('PEXPIRE', sessions, given.lifetime_ms)
end

if given.exp > now and (not tombstone or outlives(given.login_at, tombstone)) then
  if tonumber(redis.call('ZSCORE', sessions, sid) or 0) > now then
    enter(nil)
  elseif may_register(sid, begun, cutoffs) then
    local moved = find_moved()
    if not moved and not make_room() then return {'full'} end
    enter(moved)
  end
end
return state_of(session, tombstone, cutoffs, leases, epoch)
