"""Who sent a request or opened a socket, by its headers, as far as they can be trusted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from multidict import CIMultiDictProxy

from hub.core.address import MAX_HOPS, Network, client_address
from hub.core.cookies import find_cookie
from hub.errors import InvalidRequest

QUERY_TOKENS = frozenset({"token", "access_token"})
MAX_USER_AGENT = 512


class Client(msgspec.Struct, frozen=True):
    """A client: the name it gave its device, its ``User-Agent``, and its address."""

    name: str | None
    user_agent: str
    ip: str


def read_client(
    headers: CIMultiDictProxy[str],
    peer: str | None,
    trusted: Sequence[Network],
    name: str | None = None,
) -> Client:
    """Return the client that sent these headers over a connection from ``peer``."""
    # Each proxy appends to it, so the trustworthy part is at the end.
    forwarded = ",".join(headers.getall("X-Forwarded-For", [])[-MAX_HOPS:])
    return Client(
        name=name,
        user_agent=headers.get("User-Agent", "")[:MAX_USER_AGENT],
        ip=client_address(peer or "", forwarded, trusted),
    )


def refuse_query_token(query: Iterable[str]) -> None:
    """Refuse a token in a query string, which ends up in logs and browser histories.

    Raises:
        InvalidRequest: when there is one.
    """
    if not QUERY_TOKENS.isdisjoint(query):
        raise InvalidRequest("a token in a query string ends up in logs: send it in auth or header")


def read_cookie(headers: CIMultiDictProxy[str], name: str) -> str | None:
    """Return the value of the cookie of this name, or None; raises as `find_cookie` does."""
    return find_cookie(headers.getall("Cookie", ()), name)
