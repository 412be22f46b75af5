"""A token and a key in, an `Identity` or an error out.

The signature, the form and the lifetime are checked here, without a clock; whether the token is
expired or revoked is said by `hub.core.revocation.judge`, by the store's clock. Algorithms are
pinned by the caller and never read from the token (RFC 8725 section 3.1).
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import urlsafe_b64decode
from collections.abc import Iterable
from typing import Any

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import HMACAlgorithm

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
from hub.core.strength import find_weakness
from hub.errors import TokenInvalid

MAX_TOKEN_BYTES = 8192

ALGORITHMS = (
    "HS256", "HS384", "HS512",
    "RS256", "RS384", "RS512",
    "PS256", "PS384", "PS512",
    "ES256", "ES384", "ES512",
    "EdDSA",
)  # fmt: skip

CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}

AUTH_TIME = "auth_time"
SESSION_CLAIMS = ("sid", "session_id", "origin_jti", AUTH_TIME)


class Header(msgspec.Struct, frozen=True):
    """The part of a token's header that helps to find its key; not trusted for anything else."""

    alg: str
    kid: str | None = None


class Rules(msgspec.Struct, frozen=True):
    """What the tokens of one issuer entry must be, and what their claims are called.

    ``algorithms`` are pinned. ``issuer`` is the exact ``iss``, or one of ``aliases``; without an
    issuer any is taken. ``audience`` is whom tokens are for: one of these is found in one of the
    ``audience_claims``; None takes any. ``user``, ``session`` and ``login_time`` name claims, or
    paths to them, of which the first that is there counts. ``leeway`` is how far the issuer's
    clock may differ. ``lifetime_setting`` is what to name where a token lives too long.
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
        """Tell whether a token with this ``iss`` is of this entry."""
        return self.issuer is None or iss == self.issuer or iss in self.aliases


class Secret(bytes):
    """A shared secret that `prepare_secret` found fit to be one."""


class _Hmac(HMACAlgorithm):
    """HMAC that does not look again at a secret which was looked at once: most of its cost."""

    def prepare_key(self, key: str | bytes) -> bytes:
        return key if isinstance(key, Secret) else super().prepare_key(key)


_signatures = jwt.PyJWS(algorithms=ALGORITHMS)
for _bits in (256, 384, 512):
    _signatures.unregister_algorithm(f"HS{_bits}")
    _signatures.register_algorithm(f"HS{_bits}", _Hmac(getattr(HMACAlgorithm, f"SHA{_bits}")))


def prepare_secret(text: str) -> Secret:
    """Return the secret to verify tokens with.

    Raises:
        ValueError: when it is empty, or a key of another kind (PEM, SSH, DER, JWK), which is no
            secret: taking it for one would let anybody sign who knows the public key.
    """
    try:
        return Secret(HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(text))
    except jwt.InvalidKeyError:
        raise ValueError("this is no secret but a key of another kind, or empty") from None


HASH_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}


def check_secret(text: str, algorithms: Iterable[str]) -> None:
    """Refuse a secret that is none, or shorter than the hash of an algorithm it is used with.

    Raises:
        ValueError: as `prepare_secret`, or naming the length that RFC 7518 section 3.2 asks for.
    """
    if text.lstrip().startswith("-----BEGIN"):
        raise ValueError("secret: a key in PEM is no secret, it belongs in public_key")
    prepare_secret(text)
    need = max(HASH_BYTES[name] for name in algorithms)
    if len(text.encode()) < need:
        raise ValueError(f"secret: must have at least {need} bytes (RFC 7518, 3.2)")


def load_public_key(pem: str) -> Any:
    """Return the public key in PEM.

    Raises:
        ValueError: when it is none, or too weak to believe what it signed.
    """
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("not a public key in PEM") from None
    if isinstance(key, RSAPublicKey):
        numbers = key.public_numbers()
        if weakness := find_weakness(numbers.n, numbers.e):
            raise ValueError(weakness)
    return key


def suiting_algorithms(pem: str) -> tuple[str, ...]:
    """Return the algorithms that a public key in PEM can verify, the usual one first.

    Raises:
        ValueError: when it is no public key, a weak one, or of a kind that no algorithm here uses.
    """
    key = load_public_key(pem)
    match key:
        case RSAPublicKey():
            return tuple(name for name in ALGORITHMS if name.startswith(("RS", "PS")))
        case EllipticCurvePublicKey() if key.curve.name in CURVES:
            return (CURVES[key.curve.name],)
        case Ed25519PublicKey() | Ed448PublicKey():
            return ("EdDSA",)
    raise ValueError("a public key of a kind that no algorithm uses")


def read_header(token: str) -> Header:
    """Return the header of ``token``, so that its issuer entry and its key can be looked up.

    Raises:
        TokenInvalid: when the token is too long, is no JWT in compact form, repeats a member, asks
            for an extension (``crit``, ``b64``: RFC 7515 section 4.1.11, RFC 7797), or is of
            another kind (``typ``).
    """
    header = open_header(token)
    if not {"crit", "b64"}.isdisjoint(header):
        raise TokenInvalid("critical extensions are not supported")
    if not is_token_type(header.get("typ", "JWT")):
        raise TokenInvalid("a token of another kind (typ)")
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise TokenInvalid("signed with an algorithm that is not allowed here")
    if kid is not None and (not isinstance(kid, str) or len(kid) > MAX_NAME_LENGTH):
        raise TokenInvalid("kid is not a short string")
    return Header(alg=algorithm, kid=kid)


def open_header(token: str) -> dict[str, Any]:
    """Return all that stands in the header of ``token``, whatever it asks for.

    Raises:
        TokenInvalid: when the token is too long, is no JWT in compact form, or repeats a member.
    """
    if len(token) > MAX_TOKEN_BYTES or not token.isascii():
        raise TokenInvalid(f"a token is ASCII text of at most {MAX_TOKEN_BYTES} bytes")
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenInvalid(_describe_form(len(parts)))
    return _decode_part(parts[0])


def _describe_form(parts: int) -> str:
    match parts:
        case 1:
            return "not a JWT: an opaque token says nothing that the hub could check"
        case 5:
            return "an encrypted token (JWE): let the issuer sign it without encrypting it"
    return "not a signed JWT in compact form"


def read_claims(token: str) -> dict[str, Any]:
    """Return what a token claims, before its signature is looked at: to be believed by nobody.

    Raises:
        TokenInvalid: when it is no JWT in compact form, or repeats a member.
    """
    return _decode_part(token.split(".")[1])


def verify(token: str, key: Any, rules: Rules) -> Identity:
    """Return who ``token`` speaks for, once its signature and claims are right.

    ``key`` is a secret (best one of `prepare_secret`), a public key or a `jwt.PyJWK`, of the kind
    that the header's algorithm needs. Call `read_header` first: it makes the checks that need no
    key.

    Raises:
        TokenInvalid: when the signature or any claim is not as required.
    """
    return identify(check_signature(token, key, rules), token, rules)


def check_signature(token: str, key: Any, rules: Rules) -> dict[str, Any]:
    """Return the claims of a token whose signature is right.

    Raises:
        TokenInvalid: when it is not, or is by an algorithm that is not pinned.
    """
    try:
        payload = _signatures.decode(token, key, algorithms=rules.algorithms)
    except (jwt.PyJWTError, ValueError, TypeError):
        raise TokenInvalid("the signature does not verify") from None
    return read_members(payload)


def identify(claims: dict[str, Any], token: str, rules: Rules) -> Identity:
    """Return who these claims of ``token`` speak for.

    Raises:
        TokenInvalid: when any of them is not as required; ``detail`` names it.
    """
    user_claim, user = first_claim(claims, rules.user)
    for claim in (user_claim or rules.user[0], "exp", "iat"):
        if not user_claim or find_claim(claims, claim) is None:
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
    """Check whom a token is of and for.

    Raises:
        TokenInvalid: when it is of another issuer, or for another audience.
    """
    if not rules.is_of(claims.get("iss")):
        raise TokenInvalid("the token is of another issuer (iss)")
    if rules.audience is None:
        return
    for claim in rules.audience_claims:
        if not set(rules.audience).isdisjoint(_audiences(claim, find_claim(claims, claim))):
            return
    raise TokenInvalid(f"the token is for another audience ({', '.join(rules.audience_claims)})")


def _audiences(claim: str, given: Any) -> list[str]:
    """Return whom a token is for: one string, or several (RFC 7519 section 4.1.3)."""
    names = [given] if isinstance(given, str) else given
    if names is None:
        return []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TokenInvalid(f"the claim {claim} is not a string or a list of strings")
    return names


def _session(claims: dict[str, Any], rules: Rules) -> str | None:
    """Return the id of the login that a token names; None when it names none."""
    claim, value = first_claim(claims, rules.session)
    if not claim:
        return None
    if claim == AUTH_TIME or claim in rules.login_time:
        # The same login keeps it through all refreshes.
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
    # It may lie after iat, which some issuers date back by minutes.
    claim, value = first_claim(claims, rules.login_time)
    return read_login_time(claim, value) if claim else None


def _scopes(claims: dict[str, Any]) -> tuple[str, ...]:
    claim, value = first_claim(claims, ("scope", "scp"))
    return read_words(claim, value)


def fingerprint(token: str) -> str:
    """Return the session id of a token that names none: a hash of its signed part.

    Of the signed part only, since the signature can be written in several ways.
    """
    signed, _, _ = token.rpartition(".")
    return "h-" + hashlib.sha256(signed.encode()).hexdigest()[:40]


def _decode_part(part: str) -> dict[str, Any]:
    try:
        return read_members(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError):
        raise TokenInvalid("not a signed JWT in compact form") from None
