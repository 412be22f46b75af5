-- Prelude: the values that the script was called with, and the time, in microseconds.
local given = cmsgpack.unpack(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- Lua's own text for a number that long is not exact.
local function digits(number) return string.format('%.0f', number) end
local stamp = digits(now)

