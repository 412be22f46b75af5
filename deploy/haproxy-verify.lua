-- Asks the hub about a request. HAProxy has no forward authentication of its own; this uses its
-- HTTP client for Lua (HAProxy 2.5 or newer, built with Lua). See haproxy-verify.cfg.

local HUB = "127.0.0.1:8181" -- the "listen" of haproxy-verify.cfg

-- What the hub judges by. Nothing else is sent: no body, and nothing about one.
local ASKED = { "authorization", "cookie", "accept", "sec-fetch-mode", "x-requested-with",
  "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto" }
-- What the app is told; all three on every request.
local IDENTITY = { "x-auth-user", "x-auth-session", "x-auth-issuer" }
-- What the client is told when it is refused.
local REFUSAL = { "content-type", "www-authenticate", "retry-after", "location", "cache-control" }

local function first(headers, name)
  return headers[name] and headers[name][0]
end

local function ask(txn, path)
  local sent, headers = txn.http:req_get_headers(), {}
  for _, name in ipairs(ASKED) do
    headers[name] = sent[name]
  end
  headers["x-forwarded-method"] = { [0] = txn.f:method() }
  headers["x-forwarded-uri"] = { [0] = txn.f:pathq() }
  return core.httpclient():get({ url = "http://logout-hub" .. path, dst = HUB, headers = headers })
end

core.register_action("ask_logout_hub", { "http-req" }, function(txn, path)
  local answer = ask(txn, path)
  if answer.status == 200 or answer.status == 204 then
    for _, name in ipairs(IDENTITY) do
      txn.http:req_set_header(name, first(answer.headers, name) or "")
    end
    txn:set_var("txn.logout_hub", "yes")
  elseif answer.status == 401 or answer.status == 303 then
    local reply = txn:reply({ status = answer.status, body = answer.body or "" })
    for _, name in ipairs(REFUSAL) do
      local value = first(answer.headers, name)
      if value then
        reply:add_header(name, value)
      end
    end
    txn:done(reply)
  end
end, 1)
