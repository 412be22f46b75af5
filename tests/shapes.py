"""The tokens of real issuers: what they write for a login, its refresh, and another login.

``tests/vectors/issuers.json`` holds them as their documentation has them, with times relative to
the login. Here they become signed tokens, and the issuers file that an operator would write.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

VECTORS = Path(__file__).parent / "vectors" / "issuers.json"
SHAPES: list[dict[str, Any]] = json.loads(VECTORS.read_text(encoding="utf-8"))
SECRET = "the secret of an issuer that signs with one, long enough for any hash: 64 bytes"
PLACEHOLDERS = ("secret", "public_key", "jwks_url")
CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


@cache
def private_key(algorithm: str) -> Any:
    """Return a key that an issuer may sign with."""
    if algorithm.startswith("HS"):
        return SECRET
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm in CURVES:
        return ec.generate_private_key(CURVES[algorithm])
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_member(algorithm: str) -> tuple[str, str]:
    """Return the member of an ``[[issuer]]`` that holds the key, and its value."""
    key = private_key(algorithm)
    if isinstance(key, str):
        return "secret", key
    pem: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return "public_key", pem.decode()


def issuers_file(shape: Mapping[str, Any]) -> str:
    """Return the issuers file for a shape, with its key in place of an address."""
    members = {name: value for name, value in shape["settings"].items() if name not in PLACEHOLDERS}
    for name in ("preset", "iss", "audience"):
        if shape[name] is not None:
            members.setdefault(name, shape[name])
    algorithm = shape["algorithm"]
    key, value = key_member(algorithm)
    # With leeway, since tests have tokens of the second that is about to begin.
    members |= {key: value, "algorithms": [algorithm], "leeway": 2}
    lines = [f"{name} = {json.dumps(value)}" for name, value in members.items()]
    return "\n".join(["[[issuer]]", *lines])


def claims_at(template: Any, login: float) -> Any:
    """Return claims with the times of a login that began at ``login``."""
    if isinstance(template, dict):
        if set(template) == {"$time"}:
            return login + template["$time"]
        if set(template) == {"$iso"}:
            at = datetime.datetime.fromtimestamp(login + template["$iso"], datetime.UTC)
            return at.isoformat().replace("+00:00", "Z")
        return {name: claims_at(value, login) for name, value in template.items()}
    if isinstance(template, list):
        return [claims_at(value, login) for value in template]
    return template


LOGIN_OF = {"login": 0, "refreshed": 0, "again": 1200}
"""When the login of a claim set was, in seconds on the shape's own scale."""

ISSUED = ("iat", "exp", "nbf")


def issue(shape: Mapping[str, Any], which: str, login: float, at: float, new: str = "") -> Any:
    """Return the claims of a token that is issued at ``at`` for a login at ``login``.

    Those of ``which`` claim set, so of the first device or (``again``) of the second one. ``new``
    is put behind whatever names the login, which makes another one of it.
    """
    template = shape[which]
    begun, issued = LOGIN_OF[which], template["iat"]["$time"]
    # Some issuers copy iat along with all else when they refresh, and some date it back.
    is_copied = shape["login"]["iat"] == shape["refreshed"]["iat"]
    backdated = min(0, shape["login"]["iat"]["$time"])

    def place(name: str, value: float) -> float:
        is_issued = name in ISSUED and not (name == "iat" and is_copied)
        late = is_issued or (name not in ISSUED and value - begun >= 60)
        return at + (value - issued) + backdated if late else login + (value - begun)

    claims = _place(template, place)
    if isinstance(claims.get("jti"), str) and "jti" not in shape["settings"].values():
        claims["jti"] += f"-{at}"
    return _rename(claims, shape["login"], shape["again"], new) if new else claims


def _place(template: Any, place: Callable[[str, float], float], name: str = "") -> Any:
    if isinstance(template, dict):
        if set(template) == {"$time"}:
            return place(name, template["$time"])
        if set(template) == {"$iso"}:
            return claims_at({"$iso": place(name, template["$iso"])}, 0)
        return {inner: _place(value, place, inner) for inner, value in template.items()}
    if isinstance(template, list):
        return [_place(value, place, name) for value in template]
    return template


def _rename(claims: Any, one: Any, other: Any, suffix: str) -> Any:
    """Put a suffix behind each text in which two logins of the shape differ."""
    if isinstance(claims, dict) and isinstance(one, dict) and isinstance(other, dict):
        return {n: _rename(v, one.get(n), other.get(n), suffix) for n, v in claims.items()}
    differs = isinstance(one, str) and isinstance(other, str) and one != other
    return claims + suffix if differs and isinstance(claims, str) else claims


def sign(shape: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """Return a token with these claims, as the shape's issuer signs it."""
    headers = {"typ": shape["typ"]}
    key = private_key(shape["algorithm"])
    return jwt.encode(dict(claims), key, algorithm=shape["algorithm"], headers=headers)
