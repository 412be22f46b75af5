-- Read the newest entry of a stream.
return redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
