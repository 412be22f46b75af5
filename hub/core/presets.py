"""Presets for well-known identity providers.

A preset holds defaults for the members of an ``[[issuer]]`` that name its claims and locate its
keys. `docs/how-to/issuers.md` describes each preset, and what to set at the provider.
"""

from __future__ import annotations

import msgspec

from hub.core.tokens import AUTH_TIME, SESSION_CLAIMS


class Preset(msgspec.Struct, frozen=True):
    """Defaults of one provider. ``jwks_path`` is appended to ``iss`` if it has no discovery.

    ``require_exp`` is false for a provider whose logout tokens have no ``exp``.
    """

    title: str
    user: tuple[str, ...] = ("sub",)
    session: tuple[str, ...] = SESSION_CLAIMS
    login_time: tuple[str, ...] = (AUTH_TIME,)
    audience_claims: tuple[str, ...] = ("aud",)
    algorithms: tuple[str, ...] = ()
    jwks_path: str | None = None
    uses_secret: bool = False
    require_exp: bool = True


USUAL = Preset("any other")

PRESETS: dict[str, Preset] = {
    "keycloak": Preset(
        "Keycloak",
        session=("sid", "session_state", AUTH_TIME),
        audience_claims=("aud", "azp"),
    ),
    "auth0": Preset("Auth0", session=("sid", "session_id", AUTH_TIME)),
    "okta": Preset("Okta", session=("sid", "session_id", AUTH_TIME)),
    "entra": Preset("Entra ID", user=("oid", "sub"), session=("sid", AUTH_TIME)),
    "cognito": Preset(
        "Amazon Cognito",
        session=("origin_jti", AUTH_TIME),
        audience_claims=("aud", "client_id"),
        algorithms=("RS256",),
    ),
    "firebase": Preset("Firebase", session=("session_id", AUTH_TIME), algorithms=("RS256",)),
    "supabase": Preset(
        "Supabase",
        session=("session_id",),
        login_time=("amr.0.timestamp",),
        jwks_path="/.well-known/jwks.json",
    ),
    "clerk": Preset("Clerk", session=("sid",), audience_claims=("aud", "azp")),
    "zitadel": Preset("Zitadel", session=("sid", "session_id", AUTH_TIME)),
    "authentik": Preset("authentik", session=("sid", AUTH_TIME)),
    "hydra": Preset(
        "Ory Hydra",
        session=("sid", "ext.sid", AUTH_TIME, "ext.auth_time"),
        login_time=(AUTH_TIME, "ext.auth_time"),
        audience_claims=("aud", "client_id"),
        require_exp=False,
    ),
    "better-auth": Preset(
        "Better Auth",
        session=("sid", "session_id", "sessionId"),
        jwks_path="/api/auth/jwks",
    ),
    "simplejwt": Preset(
        "Django REST framework Simple JWT", user=("user_id", "sub"), uses_secret=True
    ),
    "spring": Preset("Spring Authorization Server", session=("sid", "session_id", AUTH_TIME)),
    "duende": Preset("Duende IdentityServer", session=("sid", AUTH_TIME)),
    "openiddict": Preset(
        "OpenIddict",
        session=("sid", AUTH_TIME),
        audience_claims=("aud", "client_id"),
    ),
}
