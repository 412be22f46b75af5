-- Renew a replica's lease in one partition, and note which sessions left it.
-- KEYS: lease, then the sessions that left
-- ARGV: name of the lease, how long to remember it (ms), then the turn of each departure
local time = redis.call('TIME')
local stamp = string.format('%.0f', time[1] * 1000000 + time[2])
local field = '@' .. ARGV[1]
redis.call('SET', KEYS[1], stamp, 'PX', ARGV[2])
for i = 2, #KEYS do
  local turn = redis.call('HGET', KEYS[i], field)
  if turn and tonumber(turn) <= tonumber(ARGV[i + 1]) then
    redis.call('HDEL', KEYS[i], field)
    redis.call('HSET', KEYS[i], 'last_seen_at', stamp)
  end
end
return stamp
