-- Read a partition's log on from a position.
-- Values:
--   known: the epoch that the reader knows, or ''; position: the last entry that it read
--   fresh: a name for another epoch; most: entries to be given; lifetime_ms: of an entry
--   sought: the entries that are known to have been written
-- Answers {epoch, last entry, are those all there, is each that is not past its time, {entries}}.
-- A reader that knows no epoch begins one where there is none.
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
