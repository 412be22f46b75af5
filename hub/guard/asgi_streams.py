"""ASGI responses and WebSockets that are cut when their session ends, whatever the app is doing.

The client is cut at once: by a close with a code of its own (`ENDED`) on a WebSocket, by the end
of the body on a response. The app is then told what servers tell it when a client is gone: its
``receive`` returns a disconnect, and its ``send`` raises `SessionEnded`, an `OSError`. An app that
reacts to neither within `GRACE` is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from hub.core.feed import Revocation
from hub.core.model import Identity, seconds
from hub.guard import refusals
from hub.guard.refusals import ENDED

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class SessionEnded(ConnectionError):
    """An app sends to a client that was cut, because its session has ended."""


class Stream:
    """What may outlast a session: the common part of `Response` and `Socket`."""

    def __init__(self, guard: Any, identity: Identity, receive: Receive, send: Send) -> None:
        self._guard = guard
        self._identity = identity
        self._server_receive = receive
        self._server_send = send
        self._app = asyncio.current_task()
        self._end: asyncio.Future[Revocation] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._receiving: asyncio.Future[Message] | None = None
        self._is_cancelled = False

    async def run(self, app: Callable[..., Awaitable[None]], scope: Any) -> None:
        """Run the app until it is done, or was told that its client is gone."""
        try:
            await app(scope, self.receive, self.send)
        except asyncio.CancelledError:
            if not self._is_cancelled or self._app is None or self._app.uncancel() > 0:
                raise
        except Exception as error:
            if not _is_for_want_of_client(error):
                raise
        finally:
            for task in (self._watching, self._receiving):
                if task is not None:
                    task.cancel()

    async def receive(self) -> Message:
        """Return the next message for the app."""
        raise NotImplementedError

    async def send(self, message: Message) -> None:
        """Take a message from the app.

        Raises:
            SessionEnded: when the session is over.
        """
        raise NotImplementedError

    async def cut(self, revocation: Revocation) -> None:
        """Tell the server to cut the client."""
        raise NotImplementedError

    def disconnect(self, revocation: Revocation) -> Message:
        """Return what the app is told."""
        raise NotImplementedError

    def watch(self) -> None:
        """Begin to watch the session."""
        if self._watching is None:
            self._watching = asyncio.create_task(self._cut_at_the_end())

    def check(self) -> None:
        """Raise `SessionEnded` when the session is over."""
        if self._end is not None and self._end.done():
            raise SessionEnded("the session has ended")

    async def receive_until_end(self) -> Message:
        """Return the server's next message, or a disconnect once the session is over."""
        end = self._future()
        if self._receiving is None:
            self._receiving = asyncio.ensure_future(self._server_receive())
        receiving = self._receiving  # if the app gives up waiting, the next call goes on with it
        await asyncio.wait((receiving, end), return_when=asyncio.FIRST_COMPLETED)
        if end.done():
            return self.disconnect(end.result())
        self._receiving = None
        return receiving.result()

    def _future(self) -> asyncio.Future[Revocation]:
        if self._end is None:
            self._end = asyncio.get_running_loop().create_future()
        return self._end

    async def _cut_at_the_end(self) -> None:
        who = self._identity
        began = seconds(who.begun)
        async with self._guard.watch(who.sub, who.sid, who.iss, began) as watch:
            revocation = await watch.ended()
        self._future().set_result(revocation)
        with contextlib.suppress(OSError, RuntimeError):  # the client or the app was faster
            await self.cut(revocation)
        await asyncio.sleep(refusals.GRACE)
        self._is_cancelled = True
        if self._app is not None:
            self._app.cancel()


class Response(Stream):
    """An HTTP response. It is watched if its length is not known in advance.

    A response with a ``Content-Length`` ends by itself, and is left alone.
    """

    _is_read = False

    async def receive(self) -> Message:
        """Return a part of the request's body, or a disconnect."""
        if self._is_read:
            return await self.receive_until_end()
        message = await self._server_receive()
        self._is_read = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the response."""
        if self._end is not None:
            self.check()
        if message["type"] == "http.response.start" and _is_stream(message):
            self.watch()
        await self._server_send(message)

    async def cut(self, revocation: Revocation) -> None:
        """End the body here."""
        await self._server_send({"type": "http.response.body", "body": b"", "more_body": False})

    def disconnect(self, revocation: Revocation) -> Message:
        """Return what the app is told."""
        return {"type": "http.disconnect"}


class Socket(Stream):
    """A WebSocket."""

    async def receive(self) -> Message:
        """Return the next message, or a disconnect."""
        return await self.receive_until_end()

    async def send(self, message: Message) -> None:
        """Send a message."""
        self.check()
        await self._server_send(message)

    async def cut(self, revocation: Revocation) -> None:
        """Close it; the close's reason is that of the logout."""
        reason = revocation.reason.value
        await self._server_send({"type": "websocket.close", "code": ENDED, "reason": reason})

    def disconnect(self, revocation: Revocation) -> Message:
        """Return what the app is told."""
        return {"type": "websocket.disconnect", "code": ENDED, "reason": revocation.reason.value}


def _is_stream(start: Message) -> bool:
    return all(name.lower() != b"content-length" for name, _ in start.get("headers", ()))


def _is_for_want_of_client(error: BaseException | None) -> bool:
    """Return whether an error goes back to `SessionEnded`, which frameworks turn into their own."""
    while error is not None and not isinstance(error, SessionEnded):
        error = error.__cause__ or error.__context__
    return error is not None
