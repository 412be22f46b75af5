-- Keep the newest text of one kind, with its time and how many there were.
-- Values: kind; text; times: how many this one stands for; kept_ms: how long all notes are kept
local key, kind = KEYS[1], given.kind
local times = given.times + tonumber(redis.call('HGET', key, kind .. ':times') or 0)
redis.call('HSET', key, kind .. ':text', given.text, kind .. ':at', stamp, kind .. ':times', times)
redis.call('PEXPIRE', key, given.kept_ms)
return stamp
