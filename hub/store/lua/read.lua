-- Read a partition's log on from a position.
-- KEYS: log, epoch
-- ARGV: known epoch or '', last entry that was read, a fresh epoch, most entries, lifetime (ms),
--   then the entries that are known to have been written
-- Answers {epoch, last entry, are those all there, is each that is not past its time, {entries}}.
-- A reader that knows no epoch begins one where there is none.
local known, position = ARGV[1], ARGV[2]
local epoch = redis.call('GET', KEYS[2])
if not epoch and known == '' then
  epoch = ARGV[3] .. ' new'
  redis.call('SET', KEYS[2], epoch)
end

local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local time = redis.call('TIME')
local oldest = time[1] * 1000 + time[2] / 1000 - tonumber(ARGV[5])
local there, past = true, true
for i = 6, #ARGV do
  if #redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i]) == 0 then
    there = false
    past = past and tonumber(string.match(ARGV[i], '^%d+')) < oldest
  end
end
local entries = {}
if last[1] and last[1][1] ~= position then
  entries = redis.call('XRANGE', KEYS[1], '(' .. position, '+', 'COUNT', ARGV[4])
end
return {
  epoch or '', last[1] and last[1][1] or '0-0', there and 1 or 0, past and 1 or 0, entries,
}
