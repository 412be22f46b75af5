-- Record a data loss in a partition, unless another replica has changed the epoch meanwhile.
-- Values: known: the epoch in which the loss was found; fresh: a name for a new one
-- Returns the current epoch.
local given = cmsgpack.unpack(ARGV[1])
local epoch = redis.call('GET', KEYS[1]) or ''
if epoch ~= given.known or string.match(epoch, ' lost$') then return epoch end
redis.call('SET', KEYS[1], given.fresh .. ' lost')
return given.fresh .. ' lost'
