"""The clients of the OAuth endpoints, and the format in which they are configured."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from hub.core.rights import DIGEST

ID = re.compile(r"[ -~]{1,256}")
"""RFC 6749 appendix A.1, of a sensible length."""


class ClientSecret(msgspec.Struct, frozen=True):
    """A client's id, and the SHA-256 of its secret."""

    id: str
    digest: bytes


def read_client(text: str) -> ClientSecret:
    """Return the client in a text ``ID:SHA256HEX``; the id may contain colons.

    Raises:
        ValueError: if it is malformed; the message does not repeat it, since it may hold a secret.
    """
    name, _, digest = text.rpartition(":")
    if not ID.fullmatch(name) or not DIGEST.fullmatch(digest.lower()):
        raise ValueError("not of the form ID:SHA256HEX")
    return ClientSecret(name, bytes.fromhex(digest))


def read_clients(texts: Iterable[str]) -> tuple[ClientSecret, ...]:
    """Return the clients in several texts.

    Raises:
        ValueError: if one is malformed, or an id is repeated.
    """
    found = tuple(map(read_client, texts))
    if len({client.id for client in found}) < len(found):
        raise ValueError("an id stands twice")
    return found
