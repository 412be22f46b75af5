-- Read the receipts of a logout in one partition.
-- Values: receipt_prefix: of keys; user: or nil for all; lease_time: how long a lease lasts (us)
-- Returns {now, {leases that have not expired}, user, fields, ...}.
local users, leases = unpack(KEYS)
local since = '(' .. digits(now - given.lease_time)
local answer = {stamp, redis.call('ZRANGEBYSCORE', leases, since, '+inf')}
for _, user in ipairs(given.user and {given.user} or redis.call('SMEMBERS', users)) do
  local fields = redis.call('HGETALL', given.receipt_prefix .. user)
  if #fields > 0 then
    table.insert(answer, user)
    table.insert(answer, fields)
  end
end
return answer
