-- Say in a partition that what it knew was lost, unless somebody changed the epoch meanwhile.
-- KEYS: epoch
-- ARGV: the epoch that is no proof of anything, a fresh epoch
-- Answers the epoch that now stands.
local epoch = redis.call('GET', KEYS[1]) or ''
if epoch ~= ARGV[1] or string.match(epoch, ' lost$') then return epoch end
redis.call('SET', KEYS[1], ARGV[2] .. ' lost')
return ARGV[2] .. ' lost'
