"""Verifies tokens and returns their `Identity`.

The signature, the form and the lifetime are checked here, without a clock; whether the token is
expired or revoked is decided by `hub.core.revocation.judge`, by the store's clock. Algorithms are
pinned by the caller and never taken from the token (RFC 8725 section 3.1).
"""

from __future__ import annotations

import binascii
import functools
import hashlib
from base64 import urlsafe_b64decode
from collections.abc import Iterable
from typing import Any

import jwt
import msgspec

from hub.core.claims import (
    find_claim,
    first_claim,
    read_date,
    read_id,
    read_login_time,
    read_members,
    read_name,
    read_words,
)
from hub.core.kinds import check_kind, is_token_type
from hub.core.model import MAX_NAME_LENGTH, SECOND, Identity, Micros, user_key
from hub.core.signatures import SIGNATURES
from hub.core.verification_keys import ALGORITHMS
from hub.errors import TokenInvalid

MAX_TOKEN_BYTES = 8192
MAX_HEADERS = 64
"""Headers that are remembered: all tokens of an issuer share a few, one for each key."""

AUTH_TIME = "auth_time"
SESSION_CLAIMS = ("sid", "session_id", "origin_jti", AUTH_TIME)


class Header(msgspec.Struct, frozen=True):
    """The members of a token's header that help to find its key; trusted for nothing else."""

    alg: str
    kid: str | None = None


class Rules(msgspec.Struct, frozen=True):
    """What the tokens of an issuer entry must satisfy, and how their claims are named.

    ``algorithms`` are pinned. ``iss`` must equal ``issuer`` or one of ``aliases``; if ``issuer`` is
    None, any is accepted. One of ``audience`` must be in one of the ``audience_claims``; if it is
    None, any is accepted. ``user``, ``session`` and ``login_time`` name claims or paths to them;
    the first that is present counts. ``leeway`` is how far the issuer's clock may differ.
    ``lifetime_setting`` is the setting to name in the error for a token that lives too long.
    """

    algorithms: tuple[str, ...]
    max_lifetime: Micros
    issuer: str | None = None
    aliases: tuple[str, ...] = ()
    audience: tuple[str, ...] | None = None
    audience_claims: tuple[str, ...] = ("aud",)
    user: tuple[str, ...] = ("sub",)
    session: tuple[str, ...] = SESSION_CLAIMS
    login_time: tuple[str, ...] = (AUTH_TIME,)
    leeway: Micros = 0
    lifetime_setting: str = "HUB_TOKEN_MAX_LIFETIME"

    def is_of(self, iss: object) -> bool:
        """Return whether tokens with this ``iss`` belong to this entry."""
        return self.issuer is None or iss == self.issuer or iss in self.aliases

    def is_equivalent_to(self, other: Rules) -> bool:
        """Return whether these rules judge and read every token as the others do.

        They may be written differently: in ``user``, ``session`` and ``login_time`` the order
        counts, in the other lists it does not, and ``lifetime_setting`` only words an error.
        """
        return self is other or self._meaning() == other._meaning()

    def _meaning(self) -> Rules:
        return msgspec.structs.replace(
            self,
            algorithms=_as_set(self.algorithms),
            aliases=_as_set(self.aliases),
            audience=None if self.audience is None else _as_set(self.audience),
            audience_claims=_as_set(self.audience_claims),
            lifetime_setting="",
        )


def _as_set(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def read_header(token: str) -> Header:
    """Return the header of ``token``, so that its issuer entry and its key can be looked up.

    Raises:
        TokenInvalid: if the token is too long, is not a JWT in compact form, repeats a member,
            uses an extension (``crit``, ``b64``: RFC 7515 section 4.1.11, RFC 7797), or is of
            another kind (``typ``).
    """
    return _read_header(_header_part(token))


@functools.lru_cache(MAX_HEADERS)
def _read_header(part: str) -> Header:
    members = _decode_part(part)
    if not is_token_type(members.get("typ", "JWT")):
        raise TokenInvalid("a token of another kind (typ)")
    return read_alg_and_kid(members)


def read_alg_and_kid(members: dict[str, Any]) -> Header:
    """Return what helps to find the key, from all members of a token's header.

    Raises:
        TokenInvalid: if a member is malformed, or is an extension (``crit``, ``b64``).
    """
    if not {"crit", "b64"}.isdisjoint(members):
        raise TokenInvalid("critical extensions are not supported")
    algorithm, kid = members.get("alg"), members.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise TokenInvalid("signed with an algorithm that is not allowed here")
    if kid is not None and (not isinstance(kid, str) or len(kid) > MAX_NAME_LENGTH):
        raise TokenInvalid("kid is not a short string")
    return Header(alg=algorithm, kid=kid)


def open_header(token: str) -> dict[str, Any]:
    """Return all members of the header of ``token``, without checking their values.

    Raises:
        TokenInvalid: if the token is too long, is not a JWT in compact form, or repeats a member.
    """
    return _decode_part(_header_part(token))


def _header_part(token: str) -> str:
    if len(token) > MAX_TOKEN_BYTES or not token.isascii():
        raise TokenInvalid(f"a token is ASCII text of at most {MAX_TOKEN_BYTES} bytes")
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenInvalid(_describe_form(len(parts)))
    return parts[0]


def _describe_form(parts: int) -> str:
    match parts:
        case 1:
            return "not a JWT: an opaque token says nothing that the hub could check"
        case 5:
            return "an encrypted token (JWE): have the issuer sign it without encrypting it"
    return "not a signed JWT in compact form"


def read_claims(token: str) -> dict[str, Any]:
    """Return the claims of a token without verifying its signature; they must not be trusted.

    Raises:
        TokenInvalid: if it is not a JWT in compact form, or repeats a member.
    """
    return _decode_part(token.split(".")[1])


def verify(token: str, key: Any, rules: Rules) -> Identity:
    """Verify the signature and claims of ``token``, and return its identity.

    ``key`` is a secret (preferably from `prepare_secret`), a public key or a `jwt.PyJWK`, of the
    type that the header's algorithm needs. Call `read_header` first: it makes the checks that need
    no key.

    Raises:
        TokenInvalid: if the signature or a claim is not valid.
    """
    return identify(check_signature(token, key, rules), token, rules)


def check_signature(token: str, key: Any, rules: Rules) -> dict[str, Any]:
    """Verify the signature of a token, and return its claims.

    Raises:
        TokenInvalid: if the signature is wrong, or its algorithm is not pinned.
    """
    try:
        payload = SIGNATURES.decode(token, key, algorithms=rules.algorithms)
    except (jwt.PyJWTError, ValueError, TypeError):
        raise TokenInvalid("the signature does not verify") from None
    return read_members(payload)


def check_signature_by_any(
    token: str, keys: Iterable[Any], rules: Rules
) -> tuple[dict[str, Any], Any]:
    """Verify the signature of a token by any of some keys; return its claims, and which it was.

    Raises:
        TokenInvalid: if none of them verifies it.
    """
    detail = "the signature does not verify"
    for key in keys:
        try:
            return check_signature(token, key, rules), key
        except TokenInvalid as error:
            detail = error.detail
    raise TokenInvalid(detail)


def identify(claims: dict[str, Any], token: str, rules: Rules) -> Identity:
    """Check the claims of ``token``, and return its identity.

    Raises:
        TokenInvalid: if a claim is not valid; ``detail`` names it.
    """
    user_claim, user = first_claim(claims, rules.user)
    if not user_claim:
        raise TokenInvalid(f"the claim {rules.user[0]} is missing")
    for claim in ("exp", "iat"):
        if claims.get(claim) is None:
            raise TokenInvalid(f"the claim {claim} is missing")
    check_parties(claims, rules)
    check_kind(claims, any_audience=rules.audience is None)
    iat, exp = read_date("iat", claims["iat"]), read_date("exp", claims["exp"])
    if not 0 < exp - iat <= rules.max_lifetime:
        most = rules.max_lifetime // SECOND
        raise TokenInvalid(
            f"exp must follow iat by at most {most} seconds ({rules.lifetime_setting})"
        )
    sub, sid = read_id(user_claim, user), _session(claims, rules)
    iss = claims.get("iss")
    return Identity(
        user=user_key(rules.issuer or "", sub),
        sub=sub,
        iss=rules.issuer or ("" if iss is None else read_name("iss", iss)),
        sid=sid or _token_id(claims, token),
        iat=iat,
        exp=exp,
        nbf=0 if claims.get("nbf") is None else read_date("nbf", claims["nbf"]),
        scopes=_scopes(claims),
        login_at=_login_time(claims, rules),
        per_token=sid is None,
        leeway=rules.leeway,
    )


def check_parties(claims: dict[str, Any], rules: Rules) -> None:
    """Check the issuer and the audience of a token.

    Raises:
        TokenInvalid: if either does not match.
    """
    if not rules.is_of(claims.get("iss")):
        raise TokenInvalid("the token is of another issuer (iss)")
    if rules.audience is None:
        return
    for claim in rules.audience_claims:
        if not set(rules.audience).isdisjoint(read_audiences(claim, find_claim(claims, claim))):
            return
    raise TokenInvalid(f"the token is for another audience ({', '.join(rules.audience_claims)})")


def read_audiences(claim: str, given: Any) -> list[str]:
    """Return the audiences in a claim: one string, or a list (RFC 7519 section 4.1.3).

    Raises:
        TokenInvalid: if it is neither.
    """
    names = [given] if isinstance(given, str) else given
    if names is None:
        return []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TokenInvalid(f"the claim {claim} is not a string or a list of strings")
    return names


def _session(claims: dict[str, Any], rules: Rules) -> str | None:
    """Return the session id in a token; None if the token does not identify its login."""
    claim, value = first_claim(claims, rules.session)
    if not claim:
        return None
    if claim == AUTH_TIME or claim in rules.login_time:
        # It identifies the login, since refreshes do not change it.
        at = read_login_time(claim, value)
        return None if at is None else _login_id(at)
    return read_id(claim, value)


def _login_id(at: Micros) -> str:
    fraction = f".{at % SECOND:06}".rstrip("0") if at % SECOND else ""
    return f"t-{at // SECOND}{fraction}"


def _token_id(claims: dict[str, Any], token: str) -> str:
    jti = claims.get("jti")
    return fingerprint(token) if jti is None else read_name("jti", jti)


def _login_time(claims: dict[str, Any], rules: Rules) -> Micros | None:
    # It may be later than iat, which some issuers backdate by minutes.
    claim, value = first_claim(claims, rules.login_time)
    return read_login_time(claim, value) if claim else None


def _scopes(claims: dict[str, Any]) -> tuple[str, ...]:
    claim, value = first_claim(claims, ("scope", "scp"))
    return read_words(claim, value)


def fingerprint(token: str) -> str:
    """Return a session id for a token that has none: a hash of its signed part.

    The signature is left out, since it can be encoded in several ways.
    """
    signed, _, _ = token.rpartition(".")
    return "h-" + hashlib.sha256(signed.encode()).hexdigest()[:40]


def _decode_part(part: str) -> dict[str, Any]:
    try:
        return read_members(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError):
        raise TokenInvalid("not a signed JWT in compact form") from None
