-- Claim an idempotency key for a list of logouts, unless it is claimed already.
-- Values: fingerprint: of the list; id: of its logouts; key_ms: how long the claim is kept
-- Returns {fingerprint, id} of the list that has the key now.
local given = cmsgpack.unpack(ARGV[1])
local key = KEYS[1]
local first = redis.call('HMGET', key, 'fingerprint', 'id')
if first[1] then
  -- A write, so that the wait for durability covers the first one, made on another connection.
  redis.call('PEXPIRE', key, given.key_ms)
  return first
end
redis.call('HSET', key, 'fingerprint', given.fingerprint, 'id', given.id)
redis.call('PEXPIRE', key, given.key_ms)
return {given.fingerprint, given.id}
