"""Connections that have sent nothing yet, and a shortcut for those that begin with a WebSocket.

Nearly all connections open a WebSocket with their first packet, and most of the cost of a connect
is what aiohttp does for any request: a handler, two tasks, a request, a route, a response. So an
upgrade that arrives in one packet is parsed here, by aiohttp's parser, and passed to
``open_websocket``. Everything else, and what that declines, goes to aiohttp as if it had just
arrived; nothing is refused here. See ``docs/decisions/0034-connects.md``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from hub.aiohttp_internals import UpgradeRequest, parse_upgrade
from hub.protocol.engineio import PATH

UPGRADE_START = f"GET {PATH}?".encode()
"""How a WebSocket upgrade begins."""

MAX_UPGRADE = 2**16
"""Bytes of the largest upgrade that is parsed here; most have a few thousand."""

OpenWebSocket: TypeAlias = Callable[[UpgradeRequest, asyncio.Transport], bool]
"""Takes over the connection of an upgrade, or returns False and changes nothing."""


def decline(upgrade: UpgradeRequest, transport: asyncio.Transport) -> bool:
    """Leave every request to aiohttp."""
    return False


class Arrivals:
    """The connections of a listener that have sent nothing yet, oldest first.

    ``open_websocket`` is offered the upgrades. ``make_handler`` returns aiohttp's handler for
    everything else; the loop's time when the connection was accepted is its argument. ``limits``
    are those of aiohttp's parser.
    """

    def __init__(
        self,
        open_websocket: OpenWebSocket,
        make_handler: Callable[[float], asyncio.Protocol],
        limits: dict[str, Any],
    ) -> None:
        self.open_websocket = open_websocket
        self.make_handler = make_handler
        self.limits = limits
        self._waiting: dict[Arrival, asyncio.Transport] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[asyncio.Transport]:
        return iter(list(self._waiting.values()))

    def add(self, arrival: Arrival, transport: asyncio.Transport) -> None:
        """Add a connection."""
        self._waiting[arrival] = transport

    def take(self, arrival: Arrival) -> asyncio.Transport | None:
        """Remove a connection, and return its transport."""
        return self._waiting.pop(arrival, None)

    def late(self, since: float) -> list[asyncio.Transport]:
        """Return the connections that were accepted before ``since``."""
        return [transport for arrival, transport in self._waiting.items() if arrival.since < since]


class Arrival(asyncio.Protocol):
    """One connection until its first bytes arrive; it was accepted at ``since``."""

    __slots__ = ("_arrivals", "since")

    def __init__(self, arrivals: Arrivals, since: float) -> None:
        self._arrivals = arrivals
        self.since = since

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first bytes."""
        self._arrivals.add(self, transport)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """Open a WebSocket, or hand the connection to aiohttp."""
        arrivals = self._arrivals
        transport = arrivals.take(self)
        if transport is None or transport.is_closing():
            return
        is_upgrade = data.startswith(UPGRADE_START) and len(data) <= MAX_UPGRADE
        upgrade = parse_upgrade(data, arrivals.limits) if is_upgrade else None
        if upgrade is not None and arrivals.open_websocket(upgrade, transport):
            return
        handler = arrivals.make_handler(self.since)
        transport.set_protocol(handler)
        handler.connection_made(transport)
        handler.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._arrivals.take(self)
