"""A token and a key in, an `Identity` or an error out.

The signature, the form and the lifetime are checked here, without a clock; whether the token is
expired or revoked is said by `hub.core.revocation.judge`, by the store's clock. Algorithms are
pinned by the caller and never read from the token (RFC 8725 section 3.1).
"""

from __future__ import annotations

import binascii
import hashlib
import json
from base64 import urlsafe_b64decode
from typing import Any, NoReturn

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import HMACAlgorithm

from hub.core.model import SECOND, Identity, Micros, user_key
from hub.errors import TokenInvalid

MAX_TOKEN_BYTES = 8192
MAX_NAME_LENGTH = 256
MAX_DATE = 253_402_300_799  # 9999-12-31, RFC 3339's last day

ALGORITHMS = (
    "HS256", "HS384", "HS512",
    "RS256", "RS384", "RS512",
    "PS256", "PS384", "PS512",
    "ES256", "ES384", "ES512",
    "EdDSA",
)  # fmt: skip

CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}

TOKEN_TYPES = frozenset({"jwt", "at+jwt"})
REQUIRED = ("sub", "exp", "iat")


class Rules(msgspec.Struct, frozen=True):
    """What a token must be: the pinned algorithms, its issuer, audience and longest lifetime."""

    algorithms: tuple[str, ...]
    max_lifetime: Micros
    issuer: str | None = None
    audience: str | None = None


class Header(msgspec.Struct, frozen=True):
    """The part of a token's header that helps to find its key; not trusted for anything else."""

    alg: str
    kid: str | None = None


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


def load_public_key(pem: str) -> Any:
    """Return the public key in PEM.

    Raises:
        ValueError: when it is none.
    """
    try:
        return load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("not a public key in PEM") from None


def suiting_algorithms(pem: str) -> tuple[str, ...]:
    """Return the algorithms that a public key in PEM can verify, the usual one first.

    Raises:
        ValueError: when it is no public key, or of a kind that no algorithm here uses.
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


def read_header(token: str, rules: Rules) -> Header:
    """Return the header of ``token``, so that its key can be looked up.

    Raises:
        TokenInvalid: when the token is too long, is no JWT in compact form, repeats a member,
            names another algorithm than the pinned ones, asks for an extension (``crit``,
            ``b64``: RFC 7515 section 4.1.11, RFC 7797), or is of another kind (``typ``).
    """
    if len(token) > MAX_TOKEN_BYTES or not token.isascii():
        raise TokenInvalid(f"a token is ASCII text of at most {MAX_TOKEN_BYTES} bytes")
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenInvalid("not a signed JWT in compact form")
    header = _decode_part(parts[0])
    if not {"crit", "b64"}.isdisjoint(header):
        raise TokenInvalid("critical extensions are not supported")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in TOKEN_TYPES:
        raise TokenInvalid("a token of another kind (typ)")
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in rules.algorithms:
        raise TokenInvalid("signed with an algorithm that is not allowed here")
    if kid is not None and (not isinstance(kid, str) or len(kid) > MAX_NAME_LENGTH):
        raise TokenInvalid("kid is not a short string")
    return Header(alg=algorithm, kid=kid)


def verify(token: str, key: Any, rules: Rules) -> Identity:
    """Return who ``token`` speaks for, once its signature and claims are right.

    ``key`` is a secret (best one of `prepare_secret`), a public key or a `jwt.PyJWK`, of the kind
    that the header's algorithm needs. Call `read_header` first: it makes the checks that need no
    key.

    Raises:
        TokenInvalid: when the signature or any claim is not as required.
    """
    try:
        payload = _signatures.decode(token, key, algorithms=rules.algorithms)
    except (jwt.PyJWTError, ValueError, TypeError):
        raise TokenInvalid("the signature does not verify") from None
    claims = _read_members(payload)
    for claim in REQUIRED:
        if claims.get(claim) is None:
            raise TokenInvalid(f"the claim {claim} is missing")
    if rules.issuer is not None and claims.get("iss") != rules.issuer:
        raise TokenInvalid("the token is of another issuer (iss)")
    if rules.audience is not None and rules.audience not in _audiences(claims):
        raise TokenInvalid("the token is for another audience (aud)")
    return _identify(claims, token, rules)


def _audiences(claims: dict[str, Any]) -> list[str]:
    """Return whom a token is for: one string, or several (RFC 7519 section 4.1.3)."""
    given = claims.get("aud")
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TokenInvalid("the claim aud is not a string or a list of strings")
    return names


def _identify(claims: dict[str, Any], token: str, rules: Rules) -> Identity:
    sub = _name(claims, "sub")
    iss = _name(claims, "iss") if "iss" in claims else ""
    sid = _name(claims, "sid") if "sid" in claims else None
    jti = _name(claims, "jti") if "jti" in claims else None
    iat, exp = _date(claims, "iat"), _date(claims, "exp")
    if not 0 < exp - iat <= rules.max_lifetime:
        raise TokenInvalid(f"exp must follow iat by at most {rules.max_lifetime // SECOND} seconds")
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise TokenInvalid("the claim scope is not a string")
    return Identity(
        user=user_key(iss, sub),
        sub=sub,
        iss=iss,
        sid=sid or jti or fingerprint(token),
        iat=iat,
        exp=exp,
        nbf=_date(claims, "nbf") if "nbf" in claims else 0,
        scopes=tuple(scope.split()),
    )


def fingerprint(token: str) -> str:
    """Return the session id of a token that names none: a hash of its signed part.

    Of the signed part only, since the signature can be written in several ways.
    """
    signed, _, _ = token.rpartition(".")
    return "h-" + hashlib.sha256(signed.encode()).hexdigest()[:40]


def _name(claims: dict[str, Any], claim: str) -> str:
    value = claims[claim]
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_LENGTH:
        raise TokenInvalid(f"the claim {claim} is not a string of 1 to {MAX_NAME_LENGTH}")
    if not value.isprintable():
        raise TokenInvalid(f"the claim {claim} holds a character that cannot be printed")
    return value


def _date(claims: dict[str, Any], claim: str) -> Micros:
    value = claims[claim]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenInvalid(f"the claim {claim} is not a number")
    if not 0 <= value <= MAX_DATE:
        raise TokenInvalid(f"the claim {claim} is no date")
    return round(value * SECOND)


def _decode_part(part: str) -> dict[str, Any]:
    try:
        return _read_members(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError):
        raise TokenInvalid("not a signed JWT in compact form") from None


def _read_members(raw: bytes) -> dict[str, Any]:
    try:
        value = _json.decode(raw.decode())
    except (ValueError, RecursionError):
        raise TokenInvalid("not a signed JWT in compact form") from None
    if not isinstance(value, dict):
        raise TokenInvalid("not a signed JWT in compact form")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise TokenInvalid("a member stands twice in the token")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_json = json.JSONDecoder(object_pairs_hook=_distinct, parse_constant=_no_constant)
