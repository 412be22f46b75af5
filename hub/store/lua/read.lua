-- Read a partition's log after a position.
-- Values:
--   known: the epoch that the reader knows, or ''; position: the last entry that it read
--   fresh: a name for a new epoch; most: how many entries to read, a multiple of STEP;
--   lifetime_ms: of an entry
--   sought: the entries that are known to have been written
-- Returns {epoch, last entry, whether all sought entries exist, whether each that does not has
-- expired, {entries}, whether these are all}. Fewer are returned than asked for if they are large.
-- If there is no epoch and the reader knows none, a new one begins.
local STEP, LARGE = 25, 1000000
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
local entries, bytes, start = {}, 0, given.position
local is_end = not last[1] or last[1][1] == start
while not is_end and #entries < given.most and bytes < LARGE do
  local some = redis.call('XRANGE', log, '(' .. start, '+', 'COUNT', STEP)
  for _, entry in ipairs(some) do
    table.insert(entries, entry)
    for _, field in ipairs(entry[2]) do bytes = bytes + #field end
    start = entry[1]
  end
  is_end = #some < STEP
end
return {
  epoch or '', last[1] and last[1][1] or '0-0', are_there and 1 or 0, are_past and 1 or 0, entries,
  is_end and 1 or 0,
}
