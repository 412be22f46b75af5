-- Read a partition's log after a position.
-- Values:
--   known: the epoch that the reader knows, or ''; position: the last entry that it read
--   fresh: a name for a new epoch; most: the number of entries at most; lifetime_ms: of an entry
--   sought: the entries that are known to have been written
-- Returns {epoch, last entry, whether all sought entries exist, whether each that does not has
-- expired, {entries}}. If there is no epoch and the reader knows none, a new one begins.
local log, epoch_key = unpack(KEYS)
local epoch = redis.call('GET', epoch_key)
if not epoch and given.known == '' then
  epoch = given.fresh .. ' new'
  redis.call('SET', epoch_key, epoch)
end

local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)
local oldest = now / 1000 - given.lifetime_ms
local are_there, are_past = true, true
for _, entry in ipairs(given.sought) do
  if #redis.call('XRANGE', log, entry, entry) == 0 then
    are_there = false
    are_past = are_past and tonumber(string.match(entry, '^%d+')) < oldest
  end
end
local entries = {}
if last[1] and last[1][1] ~= given.position then
  entries = redis.call('XRANGE', log, '(' .. given.position, '+', 'COUNT', given.most)
end
return {
  epoch or '', last[1] and last[1][1] or '0-0', are_there and 1 or 0, are_past and 1 or 0, entries,
}
