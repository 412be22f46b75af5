-- Read copied lines of audit logs, the oldest first.
-- KEYS: audit
-- ARGV: from which entry on, how many at most
return redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
