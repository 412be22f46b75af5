"""The credentials of administrators, their rights, and the format in which they are configured."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

import msgspec

NAME = re.compile(r"[0-9A-Za-z._-]{1,64}")
DIGEST = re.compile(r"[0-9a-f]{64}")

ADMIN, GUARD = "admin", "guard"
RESERVED = frozenset({ADMIN, GUARD, "user", "loss"})
"""Reserved: the log uses them for HUB_ADMIN_TOKEN, HUB_GUARD_TOKEN, users, and data losses."""


class Right(StrEnum):
    """What a credential may be used for, as written in its scopes."""

    LOGOUT = "logout"
    READ = "read"
    FEED = "feed"
    INTROSPECT = "introspect"


EVERY_RIGHT = frozenset(Right)


class Credential(msgspec.Struct, frozen=True):
    """An administrator's bearer token: its name, its SHA-256 and its rights."""

    name: str
    digest: bytes
    rights: frozenset[Right]


def check_name(name: str) -> str:
    """Return ``name`` if a credential may have it.

    Raises:
        ValueError: if it is malformed or reserved.
    """
    if not NAME.fullmatch(name) or name in RESERVED:
        taken = ", ".join(sorted(RESERVED))
        raise ValueError(
            f"a name has 1 to 64 letters, digits, '.', '_' and '-', and is none of {taken}"
        )
    return name


def read_credential(text: str) -> Credential:
    """Return the credential in a text ``NAME:SHA256HEX:SCOPE+SCOPE``.

    Raises:
        ValueError: if it is malformed; the message does not repeat it, since it may be a token.
    """
    parts = text.split(":")
    if len(parts) != 3 or not DIGEST.fullmatch(parts[1].lower()):
        raise ValueError("not of the form NAME:SHA256HEX:SCOPE+SCOPE (logout-hub admin-token)")
    name, digest, scopes = parts
    check_name(name)
    if not EVERY_RIGHT.issuperset(scopes.split("+")):
        raise ValueError(f"the scopes of {name} are of {', '.join(Right)}, with + between them")
    return Credential(name, bytes.fromhex(digest), frozenset(map(Right, scopes.split("+"))))


def read_credentials(texts: Iterable[str]) -> tuple[Credential, ...]:
    """Return the credentials in several texts.

    Raises:
        ValueError: if one is malformed, or a name or a token is repeated.
    """
    found = tuple(map(read_credential, texts))
    for what in ("name", "digest"):
        if len({getattr(one, what) for one in found}) < len(found):
            raise ValueError("a name or a SHA-256 is repeated")
    return found
