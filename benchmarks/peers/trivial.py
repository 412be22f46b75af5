"""The simplest server that the generator works with, to measure the generator's own speed."""

from __future__ import annotations

import asyncio
import os
from typing import cast

import uvloop

from benchmarks.frames import CLOSE, TEXT, UPGRADED, plain_frame

OPEN = UPGRADED + plain_frame(TEXT, b"0{}")
ACCEPTED = plain_frame(TEXT, b'40{"sid":"any"}')
NOTICE = (
    plain_frame(TEXT, b'42["logoutNotification",{"reason":"admin"}]')
    + plain_frame(TEXT, b"41")
    + plain_frame(CLOSE, b"\x03\xe8")
)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

sockets: set[asyncio.Transport] = set()


class Peer(asyncio.Protocol):
    """One connection: opened at its first data, accepted at its second, silent then."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answers = [OPEN, ACCEPTED]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Take the next step, whatever was said."""
        assert self._transport is not None
        if data.startswith((b"POST /admin/logout", b"GET /readyz")):
            if data.startswith(b"POST"):
                end_everyone()
            self._transport.write(ANSWER)
        elif self._answers:
            sockets.add(self._transport)
            self._transport.write(self._answers.pop(0))

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the transport."""
        assert self._transport is not None
        sockets.discard(self._transport)


def end_everyone() -> None:
    """Tell all sockets and close them."""
    for transport in list(sockets):
        transport.write(NOTICE)
        transport.close()


async def serve() -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Peer, "127.0.0.1", int(os.environ["PORT"]), backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
