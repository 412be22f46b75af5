-- Read what an idempotency key was used for, and the answer.
-- Values: key_ms: how long that is kept
local given = cmsgpack.unpack(ARGV[1])
-- A write, so that the wait for durability covers the first one, made on another connection.
redis.call('PEXPIRE', KEYS[1], given.key_ms)
return redis.call('HMGET', KEYS[1], 'fingerprint', 'answer')
