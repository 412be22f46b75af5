"""The ``[[client]]`` tables: programs that may revoke and introspect tokens."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import msgspec

from hub.core.tables import Text, check_names, check_title, convert

MIN_SECRET_LENGTH = 16


class Client(msgspec.Struct, frozen=True):
    """A program with a secret, kept as its SHA-256 (``digest``); ``title`` is for people."""

    id: str
    digest: bytes
    title: str | None = None

    def __repr__(self) -> str:
        return f"Client({self.id})"


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    id: Text
    secret: Annotated[str, msgspec.Meta(min_length=MIN_SECRET_LENGTH, max_length=1024)] | None = (
        None
    )
    secret_sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Fa-f]{64}\Z")] | None = None
    title: Text | None = None


def read_client(table: Any) -> Client:
    """Return the client of a table.

    Raises:
        ValueError: if the table is not valid; names the member, never its secret.
    """
    members = convert(table, _Table)
    check_names("id", members.id)
    check_title(members.title)
    if (members.secret is None) == (members.secret_sha256 is None):
        raise ValueError("secret_sha256, secret: needs one of them")
    if members.secret is not None:
        digest = hashlib.sha256(members.secret.encode()).digest()
    else:
        digest = bytes.fromhex(members.secret_sha256 or "")
    return Client(members.id, digest, members.title)
