-- Record a data loss in a partition, unless another replica has changed the epoch meanwhile.
-- Values:
--   known: the epoch in which the loss was found; fresh: a name for a new one
--   eviction: which keys were evicted, if that is the loss, or nil
-- Returns the current epoch.
-- An eviction that was marked before is no second loss: each replica finds it in its own time, some
-- of them after the recovery.
local epoch_key, evicted_key = unpack(KEYS)
local given = cmsgpack.unpack(ARGV[1])
local epoch = redis.call('GET', epoch_key) or ''
local is_lost = string.match(epoch, ' lost$')
if epoch ~= given.known and not is_lost then return epoch end
if given.eviction and redis.call('GET', evicted_key) == given.eviction then return epoch end
if not is_lost then
  epoch = given.fresh .. ' lost'
  redis.call('SET', epoch_key, epoch)
end
if given.eviction then redis.call('SET', evicted_key, given.eviction) end
return epoch
