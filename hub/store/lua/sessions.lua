-- List a user's sessions that have not expired.
-- KEYS: sessions, cut-off of the user, its floor, cut-off of everyone
-- ARGV: prefix of session keys, leases
-- Answers {now, {cut-offs}, {sid, fields, renewals}, ...}.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local stamp = string.format('%.0f', now)
local cutoffs = {}
for i = 2, 4 do
  local record = redis.call('GET', KEYS[i])
  if record then table.insert(cutoffs, record) end
end
local answer = {stamp, cutoffs}

for _, sid in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. stamp, '+inf')) do
  local fields = redis.call('HGETALL', ARGV[1] .. sid)
  local _, renewals = holders(fields, ARGV[2], now)
  if #fields > 0 then table.insert(answer, {sid, fields, renewals}) end
end
return answer
