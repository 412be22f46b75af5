-- Say in a partition that what it knew was lost, unless somebody changed the epoch meanwhile.
-- Values: known: the epoch that is no proof of anything; fresh: a name for another
-- Answers the epoch that now stands.
local given = cmsgpack.unpack(ARGV[1])
local epoch = redis.call('GET', KEYS[1]) or ''
if epoch ~= given.known or string.match(epoch, ' lost$') then return epoch end
redis.call('SET', KEYS[1], given.fresh .. ' lost')
return given.fresh .. ' lost'
