-- Read copied lines of audit logs, the oldest first.
-- Values: start: from which entry on; most: entries to be given
local given = cmsgpack.unpack(ARGV[1])
return redis.call('XRANGE', KEYS[1], given.start, '+', 'COUNT', given.most)
