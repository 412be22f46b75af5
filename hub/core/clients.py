"""Programs that may revoke and introspect tokens: ``[[client]]`` tables, and HUB_CLIENTS."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec

from hub.core.rights import DIGEST
from hub.core.tables import Text, check_names, check_title, convert

MIN_SECRET_LENGTH = 16
ID = re.compile(r"[ -~]{1,256}")
"""Of a client in HUB_CLIENTS (RFC 6749 appendix A.1); it may contain colons."""


class OAuthClient(msgspec.Struct, frozen=True):
    """A program with a secret, kept as its SHA-256 (``digest``); ``title`` is for people."""

    id: str
    digest: bytes
    title: str | None = None

    def __repr__(self) -> str:
        return f"OAuthClient({self.id})"


class Table(msgspec.Struct, forbid_unknown_fields=True):
    """The members of a table, as written in the file."""

    id: Text
    secret: Annotated[str, msgspec.Meta(min_length=MIN_SECRET_LENGTH, max_length=1024)] | None = (
        None
    )
    secret_sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Fa-f]{64}\Z")] | None = None
    title: Text | None = None


def read_client(table: Any) -> OAuthClient:
    """Return the client of a table.

    Raises:
        ValueError: if the table is not valid; names the member, never its secret.
    """
    members = convert(table, Table)
    check_names("id", members.id)
    check_title(members.title)
    if (members.secret is None) == (members.secret_sha256 is None):
        raise ValueError("secret_sha256, secret: needs one of them")
    if members.secret is not None:
        digest = hashlib.sha256(members.secret.encode()).digest()
    else:
        digest = bytes.fromhex(members.secret_sha256 or "")
    return OAuthClient(members.id, digest, members.title)


def read_client_text(text: str) -> OAuthClient:
    """Return the client in a text ``ID:SHA256HEX``.

    Raises:
        ValueError: if it is malformed; the message does not repeat it, since it may hold a secret.
    """
    name, _, digest = text.rpartition(":")
    if not ID.fullmatch(name) or not DIGEST.fullmatch(digest.lower()):
        raise ValueError("not of the form ID:SHA256HEX")
    return OAuthClient(name, bytes.fromhex(digest))


def check_clients(clients: Iterable[OAuthClient]) -> None:
    """Check that each client has an id of its own.

    Raises:
        ValueError: if two have the same; names it.
    """
    seen: set[str] = set()
    for client in clients:
        if client.id in seen:
            raise ValueError(f"the client {client.id} is named twice")
        seen.add(client.id)
