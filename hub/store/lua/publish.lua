-- Prelude: append a logout to the log of a partition, and publish it.
-- Values: lifetime_ms: how long entries are kept; channel, inner, outer: where it is published, and
--   the two keys of the signature
-- MAX_MESSAGE_BYTES in hub/core/bus.py.
local MAX_BYTES = 65536

-- `leases` are those whose reports are pending, `sids` the sessions that it ended besides the one
-- that it names; `issuer` is set if it refuses a session for any user.
-- Returns 'PREVIOUS ENTRY' (ids).
local function publish(log, epoch, record, leases, sids, issuer)
  local pending = #leases > 0 and table.concat(leases, ',') or '-'
  local sessions = #sids > 0 and cjson.encode(sids) or ''
  local fields = {'logout', record, 'leases', pending, 'sessions', sessions}
  local lines = {record, sessions}
  if issuer then
    table.insert(fields, 'issuer')
    table.insert(fields, issuer)
    table.insert(lines, issuer)
  end
  local oldest = digits(math.floor(now / 1000 - given.lifetime_ms))
  local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)
  local entry = redis.call('XADD', log, 'MINID', '~', oldest, '*', unpack(fields))
  local previous = last[1] and last[1][1] or '0-0'
  local name = string.match(epoch, '^%S+') or '-'
  local message = table.concat({previous, entry, name, pending, table.concat(lines, '\n')}, ' ')
  -- One that is too long has only the entry's id: without the previous id, readers read the log.
  if #message + 41 > MAX_BYTES then message = table.concat({'-', entry, name, '-', ''}, ' ') end
  -- Signed as by sign() in hub/core/bus.py.
  local inner = redis.sha1hex(given.inner .. given.channel .. ' ' .. message)
  redis.call('PUBLISH', given.channel, redis.sha1hex(given.outer .. inner) .. ' ' .. message)
  return previous .. ' ' .. entry
end

