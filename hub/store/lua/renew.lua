-- Renew a replica's lease in one partition, and note which sessions left it.
-- KEYS: leases, then the sessions that left
-- ARGV: name of the lease, how long to remember it (ms), then the turn of each departure
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local stamp = string.format('%.0f', now)
local field = '@' .. ARGV[1]
-- First the write that Redis refuses when its memory is full.
redis.call('ZADD', KEYS[1], stamp, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[2] * 1000))
for i = 2, #KEYS do
  local turn = redis.call('HGET', KEYS[i], field)
  if turn and tonumber(turn) <= tonumber(ARGV[i + 1]) then
    redis.call('HDEL', KEYS[i], field)
    redis.call('HSET', KEYS[i], 'last_seen_at', stamp)
  end
end
return stamp
