-- Prelude: the rules in Python that scripts need too. They decide what is stored, never whether a
-- token is accepted. tests/store/test_rules.py compares each with its original on generated cases.
-- A record is 'AT JSON', as hub/core/wire.py writes a logout; false if there is none.

local function at_of(record)
  return record and tonumber(string.match(record, '^%d+')) or -1
end

-- Logout.horizon in hub/core/model.py.
local function horizon_of(record)
  local before = record and string.match(record, '"before":(%d+)')
  return before and tonumber(before) or at_of(record)
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
  return login_at ~= nil and login_at > horizon_of(tombstone)
end

-- may_register in hub/core/revocation.py.
local function may_register(sid, begun, cutoffs)
  for _, record in ipairs(cutoffs) do
    if begun <= horizon_of(record) and not keeps(record, sid) then return false end
  end
  return true
end

-- ends in hub/core/revocation.py; a logout is given by the session that it ends, or keeps, or nil.
local function is_in_scope(only, kept, sid)
  return sid ~= kept and (not only or sid == only)
end

-- supersede in hub/core/revocation.py: the two records to store when `record` is written, where
-- `cutoff` and `kept` (or false) are those so far; the second may be false.
local function supersede(record, cutoff, kept)
  local all = {record}
  for _, older in ipairs({cutoff, kept}) do
    if older then table.insert(all, older) end
  end
  local newest = record
  for _, one in ipairs(all) do
    if horizon_of(one) > horizon_of(newest) then newest = one end
  end
  local logout, ended = logout_of(newest), false
  if logout.scope ~= 'others' then return newest, false end
  for _, one in ipairs(all) do
    local is_other = one ~= newest and not keeps(one, logout.sid)
    if is_other and horizon_of(one) > horizon_of(ended) then ended = one end
  end
  return newest, ended
end

-- ends_registered in hub/core/revocation.py, for the row of a session.
local function ends_registered(before, is_named, row)
  if not before then return true end
  if row.login_at then return tonumber(row.login_at) <= before end
  return is_named or math.min(tonumber(row.begun or 0), tonumber(row.created_at or 0)) <= before
end

-- is_surely_alive in hub/core/revocation.py.
local function is_surely_alive(caller, now, tombstone, cutoffs)
  for _, record in ipairs(cutoffs) do
    if caller.begun <= horizon_of(record) then return false end
  end
  return not tombstone and caller.nbf <= now and now < caller.exp
end

-- take in hub/core/rate.py, in microseconds: the new paid_until, and how long to wait.
local function take(pace, paid_until, now)
  local ends = math.max(paid_until, now) + pace.cost
  return ends, math.max(0, ends - now - pace.window)
end

