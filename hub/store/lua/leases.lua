-- Prelude: which replicas hold a session, and when they last renewed their leases.
-- A session's hash has a field '@LEASE' for each; `leases` is a sorted set by the time of renewal.
local renewed_at = {}

local function renewed(leases, lease)
  if renewed_at[lease] == nil then renewed_at[lease] = redis.call('ZSCORE', leases, lease) end
  return renewed_at[lease]
end

local function holders(fields, leases, since)
  local names, renewals = {}, {}
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 1) == '@' then
      local lease = string.sub(fields[i], 2)
      local at = renewed(leases, lease)
      if at then
        table.insert(renewals, at)
        if tonumber(at) > since then table.insert(names, lease) end
      end
    end
  end
  return names, renewals
end

local function row_of(fields)
  local row = {}
  for i = 1, #fields, 2 do row[fields[i]] = fields[i + 1] end
  return row
end

