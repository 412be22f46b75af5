-- Read entries of a stream, oldest first.
-- Values: start: the first entry; most: the number of entries at most
local given = cmsgpack.unpack(ARGV[1])
return redis.call('XRANGE', KEYS[1], given.start, '+', 'COUNT', given.most)
