-- List a user's sessions that have not expired.
-- KEYS: sessions, cut-off of the user, cut-off of everyone
-- ARGV: prefix of session keys, prefix of leases
-- Answers {now, cut-off, cut-off of everyone, {sid, fields, renewals}, ...}: renewals are the
-- times at which the replicas that hold the session last renewed their leases.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local stamp = string.format('%.0f', now)
local answer = {stamp, redis.call('GET', KEYS[2]) or '', redis.call('GET', KEYS[3]) or ''}

for _, sid in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. stamp, '+inf')) do
  local fields = redis.call('HGETALL', ARGV[1] .. sid)
  local renewals = {}
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 1) == '@' then
      local renewed = redis.call('GET', ARGV[2] .. string.sub(fields[i], 2))
      if renewed then table.insert(renewals, renewed) end
    end
  end
  if #fields > 0 then table.insert(answer, {sid, fields, renewals}) end
end
return answer
