"""Guesses the provider that a token is from, to suggest settings; never part of a verdict."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from hub.core.claims import first_claim
from hub.core.presets import USUAL

HOSTS = {
    "auth0.com": "auth0",
    "okta.com": "okta",
    "oktapreview.com": "okta",
    "okta-emea.com": "okta",
    "login.microsoftonline.com": "entra",
    "login.microsoftonline.us": "entra",
    "sts.windows.net": "entra",
    "ciamlogin.com": "entra",
    "securetoken.google.com": "firebase",
    "supabase.co": "supabase",
    "clerk.accounts.dev": "clerk",
    "zitadel.cloud": "zitadel",
    "oryapis.com": "hydra",
}
"""The presets by the domain of a provider's issuers."""

PATHS = {"/realms/": "keycloak", "/application/o/": "authentik"}
"""The presets by a part of the issuer's path."""

CLAIMS = {
    "oi_au_id": "openiddict",
    "oi_tkn_id": "openiddict",
    "token_type": "simplejwt",
    "session_state": "keycloak",
}
"""The presets by a claim that no other provider writes."""

LOGIN_CLAIMS = (
    *USUAL.session,
    "session_state",
    "sessionId",
    "ext.sid",
    "oi_au_id",
    "ext.auth_time",
)
"""Claims that name the login at some provider."""

PARTY_CLAIMS = ("aud", "azp", "client_id", "cid", "appid")
"""Claims that name the audience of a token, or the app it was issued to."""

LOGIN_TIPS = {
    "auth0": "add an Action to the login flow that writes the session's id into a claim of the "
    "access token, and name that claim",
    "entra": "add the optional claim sid to the access token of the app that it is for",
    "cognito": "turn token revocation on for the app client: it adds origin_jti",
    "hydra": "have the consent answer write the login session's id into the session of the access "
    "token (ext.sid)",
    "better-auth": "have definePayload of the jwt plugin write the session's id as sid",
    "simplejwt": "write the id of the login into refresh tokens as sid: access tokens copy it",
}
"""How to make a provider name the login in its tokens, by preset."""

AUDIENCE_TIPS = {
    "keycloak": "or add an Audience mapper to a client scope of the app",
    "auth0": "or have the app ask for tokens with audience=…",
    "entra": "or have the app ask for a scope of the API, api://…/.default",
}
"""How to make a provider issue tokens for another audience, by preset."""


def recognize(iss: object, claims: dict[str, Any]) -> str | None:
    """Return the preset that fits a token with this ``iss`` and these claims; None when none is."""
    if isinstance(iss, str):
        try:
            parts = urlsplit(iss)
            host = parts.hostname or ""
        except ValueError:
            return None
        if host.startswith("cognito-idp.") and "amazonaws" in host:
            return "cognito"
        for domain, preset in HOSTS.items():
            if host == domain or host.endswith(f".{domain}"):
                return preset
        for path, preset in PATHS.items():
            if path in parts.path:
                return preset
    return next((preset for claim, preset in CLAIMS.items() if claim in claims), None)


def recognize_kind(header: dict[str, Any], claims: dict[str, Any]) -> str | None:
    """Return what a token seems to be, when that is something else than an access token."""
    words = {
        str(value).lower()
        for value in (header.get("typ"), *map(claims.get, ("typ", "token_use", "token_type")))
    }
    if not words.isdisjoint({"refresh", "offline", "rt+jwt"}):
        return "a refresh token"
    if "events" in claims or "logout+jwt" in words:
        return "a logout token or a security event"
    is_asked_for = "nonce" in claims and "bearer" not in words
    has_scope = first_claim(claims, ("scope", "scp"))[0] != ""
    if (
        not words.isdisjoint({"id", "id_token"})
        or not {"at_hash", "c_hash"}.isdisjoint(claims)
        or (is_asked_for and not has_scope)
    ):
        return "an ID token"
    return None
