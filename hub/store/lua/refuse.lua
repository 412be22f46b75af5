-- Refuse a session of an issuer, for any user, in one partition.
-- Values:
--   logout: the logout (JSON); message: its message, and bare: the logout without it; or nil
--   issuer; before: end only logins begun at or before this time (us)
--   lifetime_ms: how long it is kept
--   channel, inner, outer: of publish
-- Returns {'PREVIOUS ENTRY' (ids), or '' if nothing was changed, {users who have registered it}}.
local refusal_key, users, message_key, log, epoch_key = unpack(KEYS)
local old, written = redis.call('GET', refusal_key), ''
if not old or horizon_of(old) < given.before then
  local at = digits(math.max(now, at_of(old) + 1)) .. ' '
  local bare = at .. (given.bare or given.logout)
  redis.call('SET', refusal_key, bare, 'PX', given.lifetime_ms)
  if given.message then redis.call('SET', message_key, given.message, 'PX', given.lifetime_ms) end
  local epoch = redis.call('GET', epoch_key) or ''
  written = publish(log, epoch, at .. given.logout, {}, {}, given.issuer)
else
  -- A write, so that the wait for durability covers the first one, made on another connection.
  redis.call('PEXPIRE', refusal_key, given.lifetime_ms)
end
return {written, redis.call('SMEMBERS', users)}
