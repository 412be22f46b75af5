-- List a user's sessions that have not expired.
-- KEYS: sessions, cut-off of the user, cut-off of everyone
-- ARGV: prefix of session keys, prefix of leases
-- Answers {now, cut-off, cut-off of everyone, {sid, fields, renewals}, ...}.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local stamp = string.format('%.0f', now)
local answer = {stamp, redis.call('GET', KEYS[2]) or '', redis.call('GET', KEYS[3]) or ''}

for _, sid in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. stamp, '+inf')) do
  local fields = redis.call('HGETALL', ARGV[1] .. sid)
  if #fields > 0 then table.insert(answer, {sid, fields, renewals(fields, ARGV[2])}) end
end
return answer
