"""aiohttp middleware: admits living sessions, and cuts WebSockets and streams when theirs ends."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any, TypeAlias

from aiohttp import Payload, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.typedefs import Handler, Middleware

from hub.core.feed import Revocation
from hub.core.model import Identity
from hub.core.preflight import ASKED_METHOD, is_preflight
from hub.errors import HubError, TokenMissing
from hub.guard import own_logout
from hub.guard.cutting import ENDED, Cuttable, leaves, until_end
from hub.guard.guard import Guard
from hub.guard.own_logout import Ended
from hub.guard.refusals import SAFE_METHODS, Gate, RequestSummary

Login: TypeAlias = tuple[str, str, float]

WRITE_ERRORS = (OSError, RuntimeError)
"""What aiohttp raises when no more can be written."""

IDENTITY = web.RequestKey("hub.identity", Identity)
"""Where the `Identity` of a request is; missing if it has none."""


def setup(app: web.Application, guard: Guard, **options: Any) -> None:
    """Guard an app and its subapps: refuse as `guard_middleware` does, and cut streams.

    When its session ends, a WebSocket is closed with code 4401, and a response without a length is
    ended. A handler that has not returned after `GRACE` is cancelled. The app starts and closes
    the guard (``app.cleanup_ctx``).
    """
    app.middlewares.append(guard_middleware(guard, **options))
    if _watch_stream not in app.on_response_prepare:
        app.on_response_prepare.append(_watch_stream)


def guard_middleware(
    guard: Guard,
    *,
    exempt: Iterable[str] = (),
    login_url: str | None = None,
    cookie: str | None = None,
    session: Callable[[web.Request], Login | Awaitable[Login | None] | None] | None = None,
    require: bool = True,
    cut_streams: bool = True,
    origins: Iterable[str] = (),
) -> Middleware:
    """Return a middleware that refuses requests without a living session; see `setup` for streams.

    ``session`` is a function of the request, such as one that asks aiohttp-session. The other
    arguments are those of `hub.guard.asgi.GuardMiddleware`. The identity is ``request[IDENTITY]``.
    """
    gate = Gate(exempt=exempt, login_url=login_url, cookie=cookie, origins=origins)

    async def identify(request: web.Request) -> Identity | None:
        if session is not None:
            login = session(request)
            if inspect.isawaitable(login):
                login = await login
            if login is None:
                return None
            return await guard.check_session(*login)
        given = request.headers
        token = gate.read_token(
            given.getall("Authorization", []),
            given.getall("Cookie", []),
            is_safe=request.method in SAFE_METHODS and "Upgrade" not in given,
            request=lambda: _summarize(request),
        )
        return await guard.check(token) if token else None

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _is_exempt(gate, request) or is_preflight(
            request.method, request.headers.get(ASKED_METHOD)
        ):
            return await handler(request)
        try:
            identity = await identify(request)
            if identity is None and require and IDENTITY not in request:
                raise TokenMissing()
        except HubError as error:
            answer = gate.refuse(error, _summarize(request))
            return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
        if identity is None:
            return await handler(request)
        request[IDENTITY] = identity
        if not cut_streams:
            return await handler(request)
        # The same for both, if this is used twice; each watches its own session.
        ended = request.setdefault(_ENDED, Ended())
        guarded = GuardedRequest(guard, identity, ended, asyncio.current_task())
        request.setdefault(_GUARDED, []).append(guarded)
        # It stays the current one: the body of a response may be made when this has returned.
        own_logout.current.set(ended)
        return await guarded.run(handler, request)

    return check


class GuardedRequest(Cuttable):
    """One request of a living session, whose response is cut when the session ends."""

    _response: web.StreamResponse | None = None
    _is_running = False

    def __init__(
        self, guard: Guard, identity: Identity, ended: Ended, task: asyncio.Task[Any] | None
    ) -> None:
        super().__init__(guard, identity, task)
        self._ended = ended

    async def run(self, handler: Handler, request: web.Request) -> web.StreamResponse:
        """Return what the handler does, or the response that was cut."""
        self._is_running = True
        try:
            return await handler(request)
        except asyncio.CancelledError:
            if self._response is None or not self.absorbs_cancellation():
                raise
        except Exception as error:
            is_about_writing = all(isinstance(leaf, WRITE_ERRORS) for leaf in leaves(error))
            if self._response is None or self.end is None or not is_about_writing:
                raise
        finally:
            self._is_running = False
            self.stop_watching()
        return self._response

    def watch_response(self, response: web.StreamResponse) -> None:
        """Cut this response when the session ends; an app and its subapp may both ask for that.

        A `web.Response` is written after its handler has returned, so its body is cut instead. Any
        other that is begun as late as that has nothing more to say.
        """
        if response is self._response:
            return
        if isinstance(response, web.Response):
            self._response = response
            if isinstance(response.body, Payload):
                response.body = CutBody(response.body, self._guard, self._identity, self._ended)
        elif self._is_running:
            self._response = response
            self.watch()

    def is_spared(self) -> bool:
        """Return whether the WebSocket is closed, or the response is not to be cut.

        It is not if it is complete, or answers the request that ended the session.
        """
        if isinstance(self._response, web.WebSocketResponse):
            return self._response.closed
        if self._ended.includes(self._identity):
            return True
        # Not public, so another version may not have it: then the task is cancelled as before.
        return bool(getattr(self._response, "_eof_sent", False))

    async def cut(self, revocation: Revocation) -> None:
        """Close the WebSocket, or end the body of the stream."""
        if isinstance(self._response, web.WebSocketResponse):
            reason = revocation.reason.value.encode()
            await self._response.close(code=ENDED, message=reason)
        elif self._response is not None:
            await self._response.write_eof()


class CutBody(Payload):
    """A body, such as that of a generator, which ends with its session."""

    def __init__(self, body: Payload, guard: Guard, identity: Identity, ended: Ended) -> None:
        super().__init__(body)
        self._ended = ended
        self._body = body
        self._guard = guard
        self._identity = identity

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the body until it or its session ends; what it waits for is cancelled."""
        try:
            async with until_end(self._guard, self._identity, self._ended):
                await self._body.write(writer)
        finally:
            # A client that reads nothing more would keep the response, and so the generator.
            if (generator := _generator_of(self._body)) is not None:
                await generator.aclose()

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the whole body."""
        return self._body.decode(encoding, errors)

    async def close(self) -> None:
        """Close the body."""
        await self._body.close()


def _generator_of(body: Payload) -> AsyncGenerator[bytes] | None:
    """Return the generator that a body is made of, if it is.

    It is not public. In a version of aiohttp that keeps it elsewhere, it ends with the response.
    """
    made_from = getattr(body, "_value", None)
    return made_from if isinstance(made_from, AsyncGenerator) else None


_ENDED = web.RequestKey("hub.ended", Ended)
_GUARDED: web.RequestKey[list[GuardedRequest]] = web.RequestKey("hub.guarded_requests", list)


async def _watch_stream(request: web.Request, response: web.StreamResponse) -> None:
    if "Content-Length" not in response.headers:
        for guarded in request.get(_GUARDED, ()):
            guarded.watch_response(response)


def _is_exempt(gate: Gate, request: web.Request) -> bool:
    # aiohttp's router reads an encoded slash as a part of a name, which the decoded path does not.
    return gate.is_exempt(request.path) and "%2F" not in request.rel_url.raw_path.upper()


def _summarize(request: web.Request) -> RequestSummary:
    headers = request.headers
    return RequestSummary(
        method=request.method,
        path=request.path,
        query=request.rel_url.raw_query_string,
        accept=headers.get("Accept", ""),
        fetch_mode=headers.get("Sec-Fetch-Mode", ""),
        fetch_site=headers.get("Sec-Fetch-Site", ""),
        origin=headers.get("Origin", ""),
        host=headers.get("Host", ""),
    )
