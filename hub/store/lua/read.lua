-- Read a partition's log on from a position.
-- KEYS: log, epoch
-- ARGV: known epoch or '', last entry that was read, newest entry that is known of, a fresh epoch,
--   most entries, lifetime (ms)
-- Answers {epoch, last entry, is the known one there, is it past its time, {entries}}.
-- A reader that knows no epoch begins one where there is none.
local known, position, witness = ARGV[1], ARGV[2], ARGV[3]
local epoch = redis.call('GET', KEYS[2])
if not epoch and known == '' then
  epoch = ARGV[4] .. ' new'
  redis.call('SET', KEYS[2], epoch)
end

local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local time = redis.call('TIME')
local oldest = time[1] * 1000 + time[2] / 1000 - tonumber(ARGV[6])
local past = tonumber(string.match(witness, '^%d+')) < oldest
local there = witness == '0-0' or #redis.call('XRANGE', KEYS[1], witness, witness) > 0
local entries = {}
if last[1] and last[1][1] ~= position then
  entries = redis.call('XRANGE', KEYS[1], '(' .. position, '+', 'COUNT', ARGV[5])
end
return {
  epoch or '', last[1] and last[1][1] or '0-0', there and 1 or 0, past and 1 or 0, entries,
}
