"""Reads published keys: the metadata of an issuer, and its JSON Web Key Set (RFC 7517)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import jwt
import msgspec
from jwt.utils import from_base64url_uint

from hub.core.issuers import check_address
from hub.core.strength import find_misuse, find_weakness
from hub.core.tokens import Header

MAX_BODY_BYTES = 1_000_000

SUITING = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("EdDSA",),
    "Ed448": ("EdDSA",),
}
"""The algorithms by a key's curve, or its type where it has none (RFC 7518, RFC 8037)."""


def discovery_addresses(issuer: str) -> tuple[str, ...]:
    """Return the addresses where an issuer may publish its metadata, in the order to try."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    inserted = f"/.well-known/oauth-authorization-server{path}"
    return (
        f"{issuer.rstrip('/')}/.well-known/openid-configuration",
        parts._replace(path=inserted).geturl(),
    )


def read_metadata(document: Any, issuer: str, url: str) -> str:
    """Return the address of the key set, from an issuer's metadata that was found at ``url``.

    Metadata of another issuer is refused (OpenID Connect Discovery 1.0 section 4.3, RFC 8414
    section 3.3).

    Raises:
        ValueError: when it is not valid.
    """
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        named = document.get("issuer") if isinstance(document, dict) else None
        raise ValueError(f"{url} is about the issuer {str(named)[:256]!r}, not {issuer!r}")
    address = document.get("jwks_uri")
    if not isinstance(address, str):
        raise ValueError(f"{url} names no jwks_uri")
    check_address("jwks_uri", address)
    return address


def find_key(keys: Iterable[jwt.PyJWK], header: Header) -> jwt.PyJWK | None:
    """Return the key with the header's ``kid``; without one, the only key for its ``alg``."""
    suiting = [key for key in keys if key.algorithm_name == header.alg]
    if header.kid is None:
        return suiting[0] if len(suiting) == 1 else None
    return next((key for key in suiting if key.key_id == header.kid), None)


def read_key_set(body: bytes) -> tuple[list[jwt.PyJWK], list[str]]:
    """Return the usable keys of a key set, and the reasons for which others are too weak.

    Raises:
        ValueError: when it is no key set, or has no usable key.
    """
    document = msgspec.json.decode(body)
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise ValueError("not a JSON Web Key Set")
    keys: list[jwt.PyJWK] = []
    reasons: set[str] = set()
    for member in members:
        if not _is_for_signatures(member):
            continue
        if weakness := _find_weakness(member):
            reasons.add(weakness)
        else:
            keys += _read_key(member)
    if not keys:
        raise ValueError("; ".join(["a JSON Web Key Set without a usable key", *sorted(reasons)]))
    return keys, sorted(reasons)


def _is_for_signatures(member: Any) -> bool:
    """Return whether a member is a public key for signatures.

    Anything else that a set may hold (secrets, private keys, keys for encryption) is ignored.
    """
    return isinstance(member, dict) and "d" not in member and find_misuse(member) is None


def _find_weakness(member: dict[str, Any]) -> str | None:
    if member.get("kty") != "RSA":
        return None
    try:
        modulus, exponent = (from_base64url_uint(member[name]) for name in ("n", "e"))
    except (KeyError, AttributeError, ValueError, TypeError):
        return None  # malformed, which is found out when the key is read
    return find_weakness(modulus, exponent)


def _read_key(member: dict[str, Any]) -> list[jwt.PyJWK]:
    """Return a public key, once for each algorithm that it can be used with."""
    suiting = SUITING.get(str(member.get("crv", member.get("kty"))), ())
    named = member.get("alg")
    try:
        return [jwt.PyJWK(member, name) for name in suiting if named in (None, name)]
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, NotImplementedError):
        return []
