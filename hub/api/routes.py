"""The table of all routes: the hub serves them, and the OpenAPI document is generated from it."""

from __future__ import annotations

import re
from functools import cache

from aiohttp import web

from hub.access.repeated_warnings import RepeatedWarnings
from hub.access.requests import AdminLogoutRequest, LogoutRequest
from hub.api import (
    admin,
    backchannel,
    client,
    events,
    global_revocation,
    health,
    introspect,
    logout,
    openapi,
    receipts,
    revocations,
    revoke,
    session,
    sessions,
    verify,
    well_known,
)
from hub.api.answers import answering
from hub.api.middleware import LISTENERS, OAUTH_PATHS
from hub.api.route import Route
from hub.errors import (
    Forbidden,
    InvalidClient,
    InvalidRequest,
    LoginRequired,
    NotFound,
    OriginNotAllowed,
    PayloadTooLarge,
    RateLimited,
    SubjectUnresolved,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    TokenNotYetValid,
    TokenRevoked,
    TokenTooOld,
    Unavailable,
)

TOKEN = (
    TokenMissing,
    TokenInvalid,
    TokenExpired,
    TokenRevoked,
    TokenTooOld,
    TokenNotYetValid,
    LoginRequired,
    Unavailable,
)
READ = (*TOKEN, InvalidRequest, RateLimited)
CHANGE = (*READ, OriginNotAllowed)
ADMIN = (*CHANGE, Forbidden)

ROUTES = (
    Route("POST", "/logout", logout.post_logout, "End sessions of the caller",
          body=LogoutRequest, errors=(*CHANGE, NotFound, PayloadTooLarge), waits=True),
    Route("GET", "/session", session.get_session, "The caller's session", errors=READ),
    Route("GET", "/sessions", sessions.get_sessions, "The caller's sessions", errors=READ),
    Route("DELETE", "/sessions/{sid}", logout.delete_session, "End one session of the caller",
          errors=(*CHANGE, NotFound), waits=True),
    Route("GET", "/logouts/{id}", receipts.get_logout, "The receipt of a logout; ?wait=SECONDS",
          errors=(*READ, NotFound), waits=True, on="both"),
    Route("GET", "/logouts/{id}/sessions", receipts.get_sessions,
          "The state of each session of a logout",
          errors=(*READ, Forbidden, NotFound), query=openapi.PAGE, on="admin"),
    Route("GET", "/verify", verify.verify, "Forward authentication, for reverse proxies",
          any_method=True, query=openapi.REDIRECT, errors=(*TOKEN, InvalidRequest)),
    Route("GET", "/verify/{path}", verify.verify_path,
          "Forward authentication, for proxies that ask with the path of the request",
          any_method=True, errors=TOKEN),
    Route("POST", "/admin/logout", admin.post_logout, "End sessions of one, several or all users",
          body=AdminLogoutRequest, errors=(*ADMIN, SubjectUnresolved, PayloadTooLarge),
          waits=True, on="admin"),
    Route("GET", "/admin/users/{user}/sessions", admin.get_sessions, "Any user's sessions",
          errors=(*READ, Forbidden, NotFound), on="admin"),
    Route("GET", "/revocations", revocations.get_revocations, "The feed of logouts, for guards",
          query=revocations.LAST_EVENT,
          errors=(TokenMissing, TokenInvalid, Forbidden, InvalidRequest, RateLimited, Unavailable),
          on="both"),
    Route("POST", "/backchannel-logout", backchannel.post_backchannel_logout,
          "OpenID Connect Back-Channel Logout", body=backchannel.LogoutTokenForm, is_oauth=True,
          secured=False, errors=(InvalidRequest, PayloadTooLarge, RateLimited, Unavailable)),
    Route("POST", "/events", events.post_event, "Shared Signals, by push (RFC 8935)",
          secured=False, consumes=events.EVENT_TYPE,
          errors=(PayloadTooLarge, RateLimited, Unavailable)),
    Route("POST", "/revoke", revoke.post_revoke, "Token revocation (RFC 7009)",
          body=revoke.RevocationForm, is_oauth=True, schemes=("none", "basic"),
          errors=(InvalidRequest, InvalidClient, PayloadTooLarge, RateLimited, Unavailable)),
    Route("POST", "/introspect", introspect.post_introspect, "Token introspection (RFC 7662)",
          body=introspect.IntrospectionForm, is_oauth=True, schemes=("basic", "bearer"),
          errors=(*TOKEN, InvalidRequest, InvalidClient, Forbidden, PayloadTooLarge, RateLimited),
          on="both"),
    Route("POST", "/global-token-revocation", global_revocation.post_global_revocation,
          "End all sessions of a user", body=global_revocation.RevocationRequest,
          errors=(*ADMIN, NotFound, SubjectUnresolved, PayloadTooLarge), on="both"),
    Route("GET", "/.well-known/logout-hub", well_known.get_hub,
          "What this hub receives, and where", secured=False, on="both"),
    Route("GET", well_known.KEYS_PATH, well_known.get_keys,
          "The keys that signed answers are verified with", secured=False, on="both"),
    Route("GET", "/healthz", health.get_healthz, "Liveness", secured=False,
          errors=(Unavailable,), on="both"),
    Route("GET", "/readyz", health.get_readyz, "Readiness: store writable, logouts received",
          secured=False, errors=(Unavailable,), on="admin"),
    Route("GET", "/metrics", health.get_metrics, "Counters for Prometheus", secured=False,
          on="admin"),
    Route("GET", "/openapi.json", openapi.get_openapi, "This API, as OpenAPI 3.1", secured=False,
          on="both"),
    Route("GET", "/client.js", client.get_client, "The browser client", secured=False),
    Route("GET", "/elements.js", client.get_elements, "The custom elements", secured=False),
)  # fmt: skip


def add_routes(app: web.Application) -> None:
    """Serve every route."""
    app[openapi.DOCUMENT] = _describe()
    app[LISTENERS] = {str(route.path): str(route.on) for route in ROUTES}
    app[OAUTH_PATHS] = frozenset(route.path for route in ROUTES if route.is_oauth)
    app[verify.SHOWN_REFUSALS] = RepeatedWarnings()
    for route in ROUTES:
        handler = answering(route.handler)
        path = re.sub(r"{path}$", "{path:(?s:.*)}", route.path)
        if route.any_method:
            app.router.add_route("*", path, handler)
        elif route.method == "GET":
            app.router.add_get(path, handler)  # answers HEAD as well
        else:
            app.router.add_route(route.method, path, handler)


@cache
def _describe() -> bytes:
    return openapi.describe(ROUTES)
