-- List the ids of a user's sessions that have not expired, or read some sessions.
-- Values: session_prefix: of keys; sids: the sessions to read, nil to list the ids
-- Returns {now, {cut-offs}, {sid, ...}}, or {now, {cut-offs}, {sid, fields, renewals}, ...}.
local sessions, cutoff, kept_cutoff, everyone, leases = unpack(KEYS)
local answer = {stamp, read_cutoffs({cutoff, kept_cutoff, everyone})}
if not given.sids then
  table.insert(answer, redis.call('ZRANGEBYSCORE', sessions, '(' .. stamp, '+inf'))
  return answer
end
for _, sid in ipairs(given.sids) do
  local fields = redis.call('HGETALL', given.session_prefix .. sid)
  local _, renewals = holders(fields, leases, now)
  if #fields > 0 then table.insert(answer, {sid, fields, renewals}) end
end
return answer
