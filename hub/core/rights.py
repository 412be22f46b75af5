"""What administrators may do, and the text in which an operator names their credentials."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

import msgspec

NAME = re.compile(r"[0-9A-Za-z._-]{1,64}")
DIGEST = re.compile(r"[0-9a-f]{64}")

ADMIN = "admin"
RESERVED = frozenset({ADMIN, "user", "loss"})
"""Names that the log gives to others: HUB_ADMIN_TOKEN, the people themselves, a data loss."""


class Right(StrEnum):
    """What a credential may be used for; as its scopes are written."""

    LOGOUT = "logout"
    READ = "read"
    FEED = "feed"
    INTROSPECT = "introspect"


EVERY_RIGHT = frozenset(Right)


class Credential(msgspec.Struct, frozen=True):
    """A bearer token of an administrator: its name, its SHA-256 and what it is for."""

    name: str
    digest: bytes
    rights: frozenset[Right]


def check_name(name: str) -> str:
    """Return ``name``.

    Raises:
        ValueError: when a credential cannot be called that.
    """
    if not NAME.fullmatch(name) or name in RESERVED:
        taken = ", ".join(sorted(RESERVED))
        raise ValueError(
            f"a name has 1 to 64 letters, digits, '.', '_' and '-', and is none of {taken}"
        )
    return name


def read_credential(text: str) -> Credential:
    """Return the credential of ``NAME:SHA256HEX:SCOPE+SCOPE``.

    Raises:
        ValueError: when it is none; the text does not repeat what was given, which may be a token.
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
    """Return several credentials, each of another name and another token.

    Raises:
        ValueError: as `read_credential` does, and when a name or a token stands twice.
    """
    found = tuple(map(read_credential, texts))
    for what in ("name", "digest"):
        if len({getattr(one, what) for one in found}) < len(found):
            raise ValueError("a name or a SHA-256 stands twice")
    return found
