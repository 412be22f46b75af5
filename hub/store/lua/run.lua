-- Prelude: run a command on a key with any number of arguments, as few times as possible.
-- unpack() returns at most 8000 values; pairs stay together.
local MAX_AT_ONCE = 1000
local function run_with(command, key, arguments)
  for first = 1, #arguments, MAX_AT_ONCE do
    local last = math.min(#arguments, first + MAX_AT_ONCE - 1)
    redis.call(command, key, unpack(arguments, first, last))
  end
end

