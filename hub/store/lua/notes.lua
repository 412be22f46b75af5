-- Read all notes.
return redis.call('HGETALL', KEYS[1])
