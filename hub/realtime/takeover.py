"""Takes a connection over from aiohttp, once it has parsed the request.

aiohttp's request handler is made to see a lost connection, and the transport gets a protocol of
ours, so that no task, request or parser of aiohttp stays in memory for the life of a WebSocket.
aiohttp has no public API for this. This is the only file that uses aiohttp's internals for it;
``pyproject.toml`` limits aiohttp to the versions it was tested with, and
``tests/realtime/test_takeover.py`` fails if those internals change.
"""

from __future__ import annotations

import asyncio

from aiohttp import web


class HandedOver(web.StreamResponse):
    """The response to a request whose connection was taken over; it writes nothing."""

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write nothing."""
        return

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing."""
        return


def take_over(request: web.Request, protocol: asyncio.Protocol, greeting: bytes) -> HandedOver:
    """Switch a request's connection to ``protocol``, and return what the handler must return.

    ``greeting`` is written first. Bytes that followed the request are passed to the protocol in the
    next iteration of the loop.

    Raises:
        ConnectionResetError: if the client has disconnected.
    """
    transport, handler = request.transport, request.protocol
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client went away")
    unread = handler._message_tail
    # Without its transport, connection_lost() has nothing to close.
    handler.transport = None
    handler.connection_lost(None)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    transport.write(greeting)
    # Before the unread bytes are passed on: the protocol may pause reading again.
    transport.resume_reading()
    if unread:
        asyncio.get_running_loop().call_soon(protocol.data_received, bytes(unread))
    return HandedOver()
