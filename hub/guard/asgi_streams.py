"""ASGI responses and WebSockets that are cut when their session ends, whatever the app is doing.

A WebSocket is closed with the code `ENDED`, a response by ending its body. The app learns of it as
it would learn that the client has disconnected: its ``receive`` returns a disconnect message, and
its ``send`` raises `SessionEnded`, an `OSError`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from hub.core.feed import Revocation
from hub.core.model import Identity
from hub.guard.cutting import ENDED, Cuttable, leaves
from hub.guard.guard import Guard
from hub.guard.own_logout import Ended

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Any, Receive, Send], Awaitable[None]]


WITHOUT_BODY = (204, 304)


class SessionEnded(ConnectionError):
    """The app tried to send to a client that was cut because its session ended."""


class Stream(Cuttable):
    """A response or socket that may outlast its session, served by ``task``."""

    def __init__(
        self, guard: Guard, identity: Identity, send: Send, task: asyncio.Task[Any] | None
    ) -> None:
        super().__init__(guard, identity, task)
        self._send = send

    def caused(self, error: BaseException) -> bool:
        """Return whether the app raised this because its client was cut."""
        if isinstance(error, asyncio.CancelledError):
            return self.absorbs_cancellation()
        return isinstance(error, Exception) and _is_from_session_ended(error)

    def send(self, message: Message) -> Awaitable[None]:
        """Send a message of the app; returns the server's awaitable, which saves a coroutine.

        Raises:
            SessionEnded: when the session has ended.
        """
        if self.end is not None:
            raise SessionEnded("the session has ended")
        return self._send(message)


async def respond(
    guard: Guard,
    identity: Identity,
    ended: Ended,
    app: App,
    scope: Any,
    receive: Receive,
    send: Send,
) -> None:
    """Run the app, and watch its response if its length is not known in advance.

    A response with a ``Content-Length`` ends by itself and is not watched, and one to a request
    that has ``ended`` its session itself is not cut. When a response has
    ended, servers send a disconnect message to an app that waits for one.
    """
    task = asyncio.current_task()
    stream: Response | None = None

    def send_on(message: Message) -> Awaitable[None]:
        nonlocal stream
        if stream is not None:
            return stream.send(message)
        if message["type"] == "http.response.start" and _is_stream(message):
            stream = Response(guard, identity, ended, send, task)
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
    """An HTTP response that has begun and whose length is not known in advance."""

    def __init__(
        self,
        guard: Guard,
        identity: Identity,
        ended: Ended,
        send: Send,
        task: asyncio.Task[Any] | None,
    ) -> None:
        super().__init__(guard, identity, send, task)
        self._ended = ended

    def is_spared(self) -> bool:
        """Return whether it answers the request that ended the session."""
        return self._ended.includes(self._identity)

    def send(self, message: Message) -> Awaitable[None]:
        """Send a chunk of the response."""
        if self.end is not None:
            raise SessionEnded("the session has ended")
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.stop_watching()  # nothing that the app does from now on reaches the client
        return self._send(message)

    async def cut(self, revocation: Revocation) -> None:
        """End the body."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


class WebSocketStream(Stream):
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
        """Close the socket, with the logout's reason as the close reason."""
        close = {"code": ENDED, "reason": revocation.reason.value}
        self._ended.set_result({"type": "websocket.disconnect", **close})
        await self._send({"type": "websocket.close", **close})


class Inbox:
    """What the app receives: the server's messages, then the disconnect message in ``ended``.

    ``on_disconnect`` is called if the client disconnects by itself.
    """

    def __init__(
        self, receive: Receive, ended: asyncio.Future[Message], on_disconnect: Callable[[], None]
    ) -> None:
        self._receive = receive
        self._ended = ended
        self._on_disconnect = on_disconnect
        self._receiving: asyncio.Future[Message] | None = None

    async def receive(self) -> Message:
        """Return the next message."""
        if self._receiving is None:
            self._receiving = asyncio.ensure_future(self._receive())
        receiving = self._receiving  # if the app stops waiting, its next call continues with it
        await asyncio.wait((receiving, self._ended), return_when=asyncio.FIRST_COMPLETED)
        if self._ended.done():
            return self._ended.result()
        self._receiving = None
        message = receiving.result()
        if message["type"] == "websocket.disconnect":
            self._on_disconnect()
        return message

    def close(self) -> None:
        """Stop waiting for the server."""
        if self._receiving is not None:
            self._receiving.cancel()


def _is_stream(start: Message) -> bool:
    # ASGI wants names in lower case; a capitalized one only makes us watch needlessly.
    for name, _ in start.get("headers", ()):
        if name == b"content-length":
            return False
    return start["status"] not in WITHOUT_BODY


def _is_from_session_ended(error: BaseException | None) -> bool:
    """Return whether `SessionEnded` caused an error; frameworks wrap it in errors of their own.

    It has to have caused all the errors of a group: any other is the app's, and is reported.
    """
    while error is not None and not isinstance(error, SessionEnded):
        if isinstance(error, BaseExceptionGroup):
            return all(_is_from_session_ended(leaf) for leaf in leaves(error))
        error = error.__cause__ or error.__context__
    return error is not None
