"""ASGI responses and WebSockets that are cut when their session ends, whatever the app is doing.

The client is cut by a close with a code of its own (`ENDED`) on a WebSocket, by the end of the body
on a response. The app is told what servers tell it when a client is gone: its ``receive`` returns a
disconnect, and its ``send`` raises `SessionEnded`, an `OSError`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from hub.core.feed import Revocation
from hub.core.model import Identity
from hub.guard.cutting import ENDED, Cuttable
from hub.guard.guard import Guard

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Any, Receive, Send], Awaitable[None]]


WITHOUT_BODY = (204, 304)


class SessionEnded(ConnectionError):
    """An app sends to a client that was cut, because its session has ended."""


class Stream(Cuttable):
    """What may outlast a session, served by ``task``: the common part of responses and sockets."""

    def __init__(
        self, guard: Guard, identity: Identity, send: Send, task: asyncio.Task[Any] | None
    ) -> None:
        super().__init__(guard, identity, task)
        self._send = send

    def caused(self, error: BaseException) -> bool:
        """Return whether the app raises this because it was told that its client is gone."""
        if isinstance(error, asyncio.CancelledError):
            return self.takes_back()
        return isinstance(error, Exception) and _is_for_want_of_client(error)

    def send(self, message: Message) -> Awaitable[None]:
        """Send a message of the app. What the server returns is returned, as that costs less.

        Raises:
            SessionEnded: when the session is over.
        """
        if self.end is not None:
            raise SessionEnded("the session has ended")
        return self._send(message)


async def respond(
    guard: Guard, identity: Identity, app: App, scope: Any, receive: Receive, send: Send
) -> None:
    """Run the app; its response is watched if its length is not known in advance.

    A response with a ``Content-Length`` ends by itself, and is left alone. Servers tell an app that
    waits for it when a response has ended, by a disconnect.
    """
    task = asyncio.current_task()
    stream: Response | None = None

    def send_on(message: Message) -> Awaitable[None]:
        nonlocal stream
        if stream is not None:
            return stream.send(message)
        if message["type"] == "http.response.start" and _is_stream(message):
            stream = Response(guard, identity, send, task)
            stream.watch()
        return send(message)

    try:
        await app(scope, receive, send_on)
    except BaseException as error:
        if stream is None or not stream.caused(error):
            raise
    finally:
        if stream is not None:
            stream.stop_watching()


class Response(Stream):
    """An HTTP response whose length is not known in advance, once it has begun."""

    def send(self, message: Message) -> Awaitable[None]:
        """Send a part of the response."""
        if self.end is not None:
            raise SessionEnded("the session has ended")
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.stop_watching()  # what the app does from now on is not for the client
        return self._send(message)

    async def cut(self, revocation: Revocation) -> None:
        """End the body here."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


class Socket(Stream):
    """A WebSocket."""

    def __init__(self, guard: Guard, identity: Identity, send: Send) -> None:
        super().__init__(guard, identity, send, asyncio.current_task())
        self._ended: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    async def run(self, app: App, scope: Any, receive: Receive) -> None:
        """Run the app, watching the session from the beginning."""
        inbox = Inbox(receive, self._ended, self.stop_watching)
        self.watch()
        try:
            await app(scope, inbox.receive, self.send)
        except BaseException as error:
            if not self.caused(error):
                raise
        finally:
            self.stop_watching()
            inbox.close()

    def send(self, message: Message) -> Awaitable[None]:
        """Send a message."""
        if message["type"] == "websocket.close":
            self.stop_watching()
        return super().send(message)

    async def cut(self, revocation: Revocation) -> None:
        """Close it; the close's reason is that of the logout."""
        close = {"code": ENDED, "reason": revocation.reason.value}
        self._ended.set_result({"type": "websocket.disconnect", **close})
        await self._send({"type": "websocket.close", **close})


class Inbox:
    """What an app receives: the server's messages, and then the disconnect that ``ended`` has.

    ``on_leave`` is called if the client leaves by itself.
    """

    def __init__(
        self, receive: Receive, ended: asyncio.Future[Message], on_leave: Callable[[], None]
    ) -> None:
        self._receive = receive
        self._ended = ended
        self._on_leave = on_leave
        self._receiving: asyncio.Future[Message] | None = None

    async def receive(self) -> Message:
        """Return the next message."""
        if self._receiving is None:
            self._receiving = asyncio.ensure_future(self._receive())
        receiving = self._receiving  # if the app gives up waiting, the next call goes on with it
        await asyncio.wait((receiving, self._ended), return_when=asyncio.FIRST_COMPLETED)
        if self._ended.done():
            return self._ended.result()
        self._receiving = None
        message = receiving.result()
        if message["type"] == "websocket.disconnect":
            self._on_leave()
        return message

    def close(self) -> None:
        """Stop waiting for the server."""
        if self._receiving is not None:
            self._receiving.cancel()


def _is_stream(start: Message) -> bool:
    # A name in capitals would only make a response watched that need not be.
    for name, _ in start.get("headers", ()):
        if name == b"content-length":
            return False
    return start["status"] not in WITHOUT_BODY


def _is_for_want_of_client(error: BaseException | None) -> bool:
    """Return whether an error goes back to `SessionEnded`, which frameworks turn into their own."""
    while error is not None and not isinstance(error, SessionEnded):
        error = error.__cause__ or error.__context__
    return error is not None
