-- Append lines of an audit log to the copy.
-- Values: kept: how many lines to keep, approximately; lines
local given = cmsgpack.unpack(ARGV[1])
for _, line in ipairs(given.lines) do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', given.kept, '*', 'line', line)
end
return #given.lines
