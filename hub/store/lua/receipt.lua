-- Read the receipts of a logout in one partition.
-- KEYS: users of the logout, leases
-- ARGV: prefix of receipts, user or '*' for all, lease (us)
-- Answers {now, {leases that have not run out}, user, fields, ...}.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local since = string.format('(%.0f', now - tonumber(ARGV[3]))
local answer = {string.format('%.0f', now), redis.call('ZRANGEBYSCORE', KEYS[2], since, '+inf')}
local users = ARGV[2] == '*' and redis.call('SMEMBERS', KEYS[1]) or {ARGV[2]}
for _, user in ipairs(users) do
  local fields = redis.call('HGETALL', ARGV[1] .. user)
  if #fields > 0 then
    table.insert(answer, user)
    table.insert(answer, fields)
  end
end
return answer
