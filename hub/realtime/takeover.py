"""Taking a connection over from aiohttp, once it has parsed the request.

aiohttp's request handler is told that its connection is gone, and the transport gets a protocol of
ours, so that no task, request or parser of aiohttp's stays behind for the life of a WebSocket.
There is no public way to do this. This is the only file that reaches inside aiohttp for it, the
versions that it was tried with are a cap in ``pyproject.toml``, and
``tests/realtime/test_takeover.py`` fails when what it reaches for changes.
"""

from __future__ import annotations

import asyncio

from aiohttp import web


class HandedOver(web.StreamResponse):
    """The answer to a request whose connection is no longer HTTP's: nothing is written."""

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write nothing."""
        return

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing."""
        return


def take_over(request: web.Request, protocol: asyncio.Protocol, greeting: bytes) -> HandedOver:
    """Give a request's connection to ``protocol``, and return what the handler must return.

    ``greeting`` is written first. What the client has sent after its request is fed to the protocol
    in the next iteration of the loop.

    Raises:
        ConnectionResetError: when the client is gone already.
    """
    transport, handler = request.transport, request.protocol
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client went away")
    unread = handler._message_tail
    # Without its transport the handler has nothing to close when it is told of the loss.
    handler.transport = None
    handler.connection_lost(None)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    transport.write(greeting)
    # Before the unread bytes are fed: they may be more than is read at once.
    transport.resume_reading()
    if unread:
        asyncio.get_running_loop().call_soon(protocol.data_received, bytes(unread))
    return HandedOver()
