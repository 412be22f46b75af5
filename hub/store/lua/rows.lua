-- Read the sessions of a logout of everyone in one partition.
-- KEYS: rows of the receipt
-- Answers {session, row, ...}.
return redis.call('HGETALL', KEYS[1])
