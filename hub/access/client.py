"""Where a request or a socket comes from, as its headers say, and as far as they are believed."""

from __future__ import annotations

from collections.abc import Container, Sequence

import msgspec
from multidict import CIMultiDictProxy

from hub.core.address import Network, client_address
from hub.errors import InvalidRequest

QUERY_TOKENS = ("token", "access_token")


class Client(msgspec.Struct, frozen=True):
    """From where a session shows itself: the name it gave its device, its program, its address."""

    name: str | None
    user_agent: str
    ip: str


def read_client(
    headers: CIMultiDictProxy[str],
    peer: str | None,
    trusted: Sequence[Network],
    name: str | None = None,
) -> Client:
    """Return who sent these headers over a connection from ``peer``."""
    forwarded = ",".join(headers.getall("X-Forwarded-For", []))
    return Client(
        name=name,
        user_agent=headers.get("User-Agent", ""),
        ip=client_address(peer or "", forwarded, trusted),
    )


def refuse_query_token(query: Container[str]) -> None:
    """Refuse a token in a query string, where logs and histories would keep it.

    Raises:
        InvalidRequest: when there is one.
    """
    if any(name in query for name in QUERY_TOKENS):
        raise InvalidRequest("a token in a query string ends up in logs: send it in auth or header")
