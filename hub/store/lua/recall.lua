-- Read what an idempotency key was used for, and the answer.
return redis.call('HMGET', KEYS[1], 'fingerprint', 'answer')
