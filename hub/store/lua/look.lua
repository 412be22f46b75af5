-- Look at a session.
-- Values: message_prefix
-- Answers as state_of returns.
local tombstone, session, cutoff, kept_cutoff, everyone, epoch, leases = unpack(KEYS)
local cutoffs = read_cutoffs({cutoff, kept_cutoff, everyone})
return state_of(session, redis.call('GET', tombstone), cutoffs, leases, epoch)
