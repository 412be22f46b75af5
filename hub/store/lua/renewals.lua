-- Prelude: the times at which the replicas that hold a session last renewed their leases.
-- A session's hash has a field '@LEASE' for each such replica.
local function renewals(fields, leases)
  local found = {}
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 1) == '@' then
      local renewed = redis.call('GET', leases .. string.sub(fields[i], 2))
      if renewed then table.insert(found, renewed) end
    end
  end
  return found
end

