-- Renew a replica's lease in one partition, and record departures.
-- KEYS: leases, then the sessions that the replica no longer holds
-- Values: lease: its name; lifetime_ms: how long it is kept; sequences: of each departure
local leases, field = KEYS[1], '@' .. given.lease
-- The first write must be one that Redis refuses when its memory is full.
redis.call('ZADD', leases, stamp, given.lease)
redis.call('ZREMRANGEBYSCORE', leases, '-inf', digits(now - given.lifetime_ms * 1000))
for i, sequence in ipairs(given.sequences) do
  local session = KEYS[i + 1]
  local entered = redis.call('HGET', session, field)
  if entered and tonumber(entered) <= sequence then
    redis.call('HDEL', session, field)
    redis.call('HSET', session, 'last_seen_at', stamp)
  end
end
return stamp
