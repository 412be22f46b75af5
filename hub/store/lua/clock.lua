-- Prelude: the script's values, and the time in microseconds.
local given = cmsgpack.unpack(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- tostring() is not exact for numbers of this size.
local function digits(number) return string.format('%.0f', number) end
local stamp = digits(now)

