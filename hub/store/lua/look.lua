-- Read the revocation state of a session.
-- Values: message_prefix: of the keys of logouts' messages
-- Returns the result of state_of.
local tombstone, refusal, session, cutoff, kept_cutoff, everyone, epoch, leases = unpack(KEYS)
local cutoffs = read_cutoffs({cutoff, kept_cutoff, everyone})
return state_of(session, read_tombstone(tombstone, refusal), cutoffs, leases, epoch)
