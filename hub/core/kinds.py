"""Tells access tokens from other kinds of tokens, which are refused.

An issuer signs its logout tokens, security events, refresh tokens and ID tokens with the same keys
(RFC 8725 section 2.8), and not every issuer sets ``typ``. So the claims are checked too.
"""

from __future__ import annotations

from typing import Any

from hub.errors import TokenInvalid

TOKEN_TYPES = frozenset({"jwt", "at+jwt"})
"""Accepted values of ``typ`` in the header, in lower case and without ``application/``."""

KIND_CLAIMS = ("token_type", "tokenType", "token_use", "typ")
"""Claims in which issuers state the kind of token; their values are normalized by `_word`."""

REFRESH_KINDS = frozenset({"refresh", "refresh-token", "offline"})
ACCESS_KINDS = frozenset({"bearer", "access", "access-token", "at+jwt"})
ID_KINDS = frozenset({"id", "id-token"})

EVENTS = "events"
"""The claim that makes a JWT a security event token (RFC 8417 section 2.2) or a logout token."""

ID_TOKEN_CLAIMS = ("nonce", "at_hash", "c_hash", "s_hash")
"""Claims that only ID tokens have (OpenID Connect Core 1.0 sections 2 and 3.3.2.11, FAPI)."""

TELLING = frozenset({EVENTS, *KIND_CLAIMS, *ID_TOKEN_CLAIMS})
"""Every claim that may show a token's kind."""


def is_token_type(kind: object) -> bool:
    """Return whether ``typ`` of a header may be that of an access token."""
    return isinstance(kind, str) and kind.lower().removeprefix("application/") in TOKEN_TYPES


def check_kind(claims: dict[str, Any], *, any_audience: bool) -> None:
    """Check that claims are those of an access token.

    ID tokens are refused only with ``any_audience``, since nothing else would stop them; an
    operator who sets an audience may mean the app that the ID token is for. A token that states
    that it is an access token is accepted: some issuers copy ``nonce`` into those.

    Raises:
        TokenInvalid: if it is a token of another kind; names the claim that shows it.
    """
    if TELLING.isdisjoint(claims):
        return
    if claims.get(EVENTS) is not None:
        raise TokenInvalid(f"a logout token or another event ({EVENTS}): send the access token")
    kinds = {claim: _word(claims[claim]) for claim in KIND_CLAIMS if claim in claims}
    for claim, kind in kinds.items():
        if kind in REFRESH_KINDS:
            raise TokenInvalid(f"a refresh token ({claim}): send the access token")
    if not any_audience or not ACCESS_KINDS.isdisjoint(kinds.values()):
        return
    telling = [claim for claim, kind in kinds.items() if kind in ID_KINDS]
    telling += [claim for claim in ID_TOKEN_CLAIMS if claims.get(claim) is not None]
    if telling:
        raise TokenInvalid(f"an ID token ({telling[0]}): set an audience, or send the access token")


def without_kind(claims: dict[str, Any]) -> dict[str, Any]:
    """Return the claims other than those that show a token's kind."""
    return {name: value for name, value in claims.items() if name not in TELLING}


def _word(kind: object) -> str:
    return kind.lower().replace("_", "-") if isinstance(kind, str) else ""
