-- Take a hold, or renew it, unless somebody else has it.
-- Values: holder: who wants it; ms: how long it lasts
-- Returns 1 if the holder has it now, else 0.
local given = cmsgpack.unpack(ARGV[1])
local key = KEYS[1]
local holder = redis.call('GET', key)
if holder and holder ~= given.holder then return 0 end
redis.call('SET', key, given.holder, 'PX', given.ms)
return 1
