-- Prelude: the revocation state of a session.
local function read_cutoffs(names)
  local cutoffs = {}
  for _, name in ipairs(names) do
    local record = redis.call('GET', name)
    if record then table.insert(cutoffs, record) end
  end
  return cutoffs
end

-- Return the tombstone of a session: its user's, or one that applies to any user.
local function read_tombstone(name, refusal)
  local own, anybodys = redis.call('GET', name), redis.call('GET', refusal)
  return horizon_of(anybodys) > horizon_of(own) and anybodys or own
end

-- Returns {now, tombstone, {cut-offs}, the session's fields, renewals, epoch, the tombstone's
-- message}, with '' for those that do not exist.
local function state_of(session, tombstone, cutoffs, leases, epoch)
  local fields = redis.call('HGETALL', session)
  local _, renewals = holders(fields, leases, now)
  local message = tombstone and redis.call('GET', given.message_prefix .. logout_of(tombstone).id)
  return {
    stamp, tombstone or '', cutoffs, fields, renewals, redis.call('GET', epoch) or '',
    message or '',
  }
end

