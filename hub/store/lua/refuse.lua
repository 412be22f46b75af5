-- Refuse a session of an issuer, whoever its user is, in one partition.
-- Values:
--   bare: the logout (JSON) without its message; message: that, or nil
--   before: end only logins begun at or before this time (us)
--   lifetime_ms: how long it is kept
-- Returns the users who have registered the session.
local refusal_key, users, message_key = unpack(KEYS)
local old = redis.call('GET', refusal_key)
if not old or horizon_of(old) < given.before then
  local at = math.max(now, at_of(old) + 1)
  redis.call('SET', refusal_key, digits(at) .. ' ' .. given.bare, 'PX', given.lifetime_ms)
  if given.message then redis.call('SET', message_key, given.message, 'PX', given.lifetime_ms) end
end
return redis.call('SMEMBERS', users)
