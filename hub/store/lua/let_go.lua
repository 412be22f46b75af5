-- Release a hold, if this holder has it.
-- Values: holder
local given = cmsgpack.unpack(ARGV[1])
if redis.call('GET', KEYS[1]) ~= given.holder then return 0 end
return redis.call('DEL', KEYS[1])
