-- Prelude: what scripts repeat of the rules in Python. They say what is stored, never who is dead.
-- tests/store/test_rules.py compares each of them with its rule, over many generated cases.
-- A record is 'AT JSON', as hub/core/wire.py writes a logout; false where there is none.

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

-- outlives in hub/core/revocation.py; login_at is nil where the token does not tell it.
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

-- supersede in hub/core/revocation.py: the record to keep beside a new cut-off, which spares the
-- session `spared` or nobody (nil); `cutoff` and `kept` are the two records of before.
local function supersede(spared, cutoff, kept)
  if not spared then return false end
  if cutoff and not keeps(cutoff, spared) then return cutoff end
  return kept
end

-- is_surely_alive in hub/core/revocation.py.
local function is_surely_alive(caller, now, tombstone, cutoffs)
  for _, record in ipairs(cutoffs) do
    if caller.begun <= at_of(record) then return false end
  end
  return not tombstone and caller.nbf <= now and now < caller.exp
end

-- take in hub/core/rate.py, in microseconds: until when it is paid for, and how long to wait.
local function take(pace, paid_until, now)
  local ends = math.max(paid_until, now) + pace.cost
  return ends, math.max(0, ends - now - pace.window)
end

