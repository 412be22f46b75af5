-- Append lines to a stream, of which only the newest are kept.
-- Values: kept: how many lines to keep, approximately; lines
local given = cmsgpack.unpack(ARGV[1])
for _, line in ipairs(given.lines) do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', given.kept, '*', 'line', line)
end
return #given.lines
