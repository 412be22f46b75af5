-- List a user's sessions that have not expired, or some of them in full.
-- KEYS: sessions, cut-off of the user, its floor, cut-off of everyone
-- ARGV: prefix of session keys, leases, then the sessions to read; none asks for their names
-- Answers {now, {cut-offs}, {sid, ...}}, or {now, {cut-offs}, {sid, fields, renewals}, ...}.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local stamp = string.format('%.0f', now)
local cutoffs = {}
for i = 2, 4 do
  local record = redis.call('GET', KEYS[i])
  if record then table.insert(cutoffs, record) end
end
if #ARGV == 2 then
  return {stamp, cutoffs, redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. stamp, '+inf')}
end

local answer = {stamp, cutoffs}
for i = 3, #ARGV do
  local fields = redis.call('HGETALL', ARGV[1] .. ARGV[i])
  local _, renewals = holders(fields, ARGV[2], now)
  if #fields > 0 then table.insert(answer, {ARGV[i], fields, renewals}) end
end
return answer
