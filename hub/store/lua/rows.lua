-- Read the sessions of a logout of everyone in one partition: {session, row, ...}.
return redis.call('HGETALL', KEYS[1])
