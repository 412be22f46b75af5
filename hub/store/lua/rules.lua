-- Prelude: the rules in Python that scripts need too. They decide what is stored, never whether a
-- token is accepted. tests/store/test_rules.py compares each with its original on generated cases.
-- A record is 'AT JSON', as hub/core/wire.py writes a logout; false if there is none.

local function at_of(record)
  return record and tonumber(string.match(record, '^%d+')) or -1
end

local function logout_of(record)
  return cjson.decode(string.match(record, '^%d+ (.*)$'))
end

local function keeps(record, sid)
  local logout = logout_of(record)
  return logout.scope == 'others' and logout.sid == sid
end

-- outlives in hub/core/revocation.py; login_at is nil if the token does not state it.
local function outlives(login_at, tombstone)
  return login_at ~= nil and login_at > at_of(tombstone)
end

-- may_register in hub/core/revocation.py.
local function may_register(sid, begun, cutoffs)
  for _, record in ipairs(cutoffs) do
    if begun <= at_of(record) and not keeps(record, sid) then return false end
  end
  return true
end

-- supersede in hub/core/revocation.py: the kept cut-off to store with a new cut-off that keeps the
-- session `kept_sid`, or none (nil); `cutoff` and `kept` are the two records so far.
local function supersede(kept_sid, cutoff, kept)
  if not kept_sid then return false end
  if cutoff and not keeps(cutoff, kept_sid) then return cutoff end
  return kept
end

-- is_surely_alive in hub/core/revocation.py.
local function is_surely_alive(caller, now, tombstone, cutoffs)
  for _, record in ipairs(cutoffs) do
    if caller.begun <= at_of(record) then return false end
  end
  return not tombstone and caller.nbf <= now and now < caller.exp
end

-- take in hub/core/rate.py, in microseconds: the new paid_until, and how long to wait.
local function take(pace, paid_until, now)
  local ends = math.max(paid_until, now) + pace.cost
  return ends, math.max(0, ends - now - pace.window)
end

