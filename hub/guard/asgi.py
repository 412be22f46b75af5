"""ASGI middleware: for FastAPI, Starlette, Quart, Litestar, Django under ASGI, or a plain ASGI app.

It needs no framework, but asyncio as the event loop.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeAlias

from hub.core.model import Identity
from hub.core.preflight import ASKED_METHOD, is_preflight
from hub.errors import HubError, TokenMissing
from hub.guard import own_logout
from hub.guard.asgi_streams import App, Message, Receive, Send, WebSocketStream, respond
from hub.guard.cutting import ENDED
from hub.guard.guard import Guard
from hub.guard.own_logout import Ended
from hub.guard.refusals import SAFE_METHODS, Answer, Gate, RequestSummary

Scope: TypeAlias = Any
Login: TypeAlias = tuple[str, str, float]
"""A user, the id of a session, and when its login began, by `Guard.now`."""

IDENTITY = "hub.identity"
ENDED_ITSELF = "hub.ended"


class GuardMiddleware:
    """Admits requests of living sessions, and cuts WebSockets and streams when theirs ends.

    Wraps an ASGI app. ``scope["hub.identity"]`` is the `Identity`, or None for a request that is
    admitted without one.

    Args:
        app: the app.
        guard: a `hub.guard.Guard`, which the app starts and closes (its lifespan).
        exempt: paths that need no session, such as ``/health``, or ``/static/*`` for all that start
            with ``/static/``. CORS preflights pass too: they carry no credentials.
        login_url: where a browser that navigates without a living session is redirected (303), with
            the address it wanted in ``next``. Other requests get problem details (RFC 9457).
        cookie: the cookie that holds the token, for requests without ``Authorization``. A page of
            another site may not open a socket or change anything with it.
        session: for the app's own sessions: a function, asynchronous or not, that returns the
            `Login` of a scope or None. Tokens are then ignored; for both, wrap the app twice.
        require: refuse requests without credentials. If False, they are admitted as anonymous;
            those of ended sessions are refused all the same.
        cut_streams: also end responses without ``Content-Length`` when their session ends, such as
            server-sent events. WebSockets are always closed, with code 4401.
        origins: other origins whose pages may use the cookie.
    """

    def __init__(
        self,
        app: App,
        guard: Guard,
        *,
        exempt: Iterable[str] = (),
        login_url: str | None = None,
        cookie: str | None = None,
        session: Callable[[Scope], Login | Awaitable[Login | None] | None] | None = None,
        require: bool = True,
        cut_streams: bool = True,
        origins: Iterable[str] = (),
    ) -> None:
        self.app = app
        self._guard = guard
        self._gate = Gate(exempt=exempt, login_url=login_url, cookie=cookie, origins=origins)
        self._session = session
        self._require = require
        self._cut_streams = cut_streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, a WebSocket or the lifespan."""
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        identity: Identity | None = scope.setdefault(IDENTITY, None)
        if not self._is_exempt(scope) and not _is_preflight(scope):
            try:
                identity = await self._identify(scope) or identity
                if identity is None and self._require:
                    raise TokenMissing()
            except HubError as error:
                answer = self._gate.refuse(error, _summarize(scope))
                refuse = _refuse_request if kind == "http" else _refuse_socket
                return await refuse(answer, scope, receive, send)
        if identity is None or scope[IDENTITY] is identity:
            return await self.app(scope, receive, send)  # nobody to watch, or already watched
        scope[IDENTITY] = identity
        if kind == "websocket":
            return await WebSocketStream(self._guard, identity, send).run(self.app, scope, receive)
        if self._cut_streams:
            return await self._respond(identity, scope, receive, send)
        return await self.app(scope, receive, send)

    async def _respond(
        self, identity: Identity, scope: Scope, receive: Receive, send: Send
    ) -> None:
        # The same for both, if this is used twice.
        ended: Ended = scope.setdefault(ENDED_ITSELF, Ended())
        before = own_logout.current.set(ended)
        try:
            await respond(self._guard, identity, ended, self.app, scope, receive, send)
        finally:
            own_logout.current.reset(before)

    def _is_exempt(self, scope: Scope) -> bool:
        # An app may go by the path as it was sent, in which an encoded slash separates nothing.
        is_exempt = self._gate.is_exempt(scope["path"])
        return is_exempt and b"%2F" not in (scope.get("raw_path") or b"").upper()

    async def _identify(self, scope: Scope) -> Identity | None:
        """Return who sent a request, or None if it has no credentials; raises `HubError`."""
        if self._session is not None:
            login = self._session(scope)
            if inspect.isawaitable(login):
                login = await login
            if login is None:
                return None
            return await self._guard.check_session(*login)
        authorizations, cookies = [], []
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorizations.append(value.decode("latin-1"))
            elif name == b"cookie":
                cookies.append(value.decode("latin-1"))
        token = self._gate.read_token(
            authorizations,
            cookies,
            is_safe=scope.get("method") in SAFE_METHODS,
            request=lambda: _summarize(scope),
        )
        return await self._guard.check(token) if token else None


def _is_preflight(scope: Scope) -> bool:
    asked = _header(scope, ASKED_METHOD.lower().encode())
    return is_preflight(scope.get("method"), asked or None)


def _header(scope: Scope, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")


def _summarize(scope: Scope) -> RequestSummary:
    return RequestSummary(
        method=scope.get("method", ""),
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        accept=_header(scope, b"accept"),
        fetch_mode=_header(scope, b"sec-fetch-mode"),
        fetch_site=_header(scope, b"sec-fetch-site"),
        origin=_header(scope, b"origin"),
        host=_header(scope, b"host"),
    )


def _start(kind: str, answer: Answer) -> Message:
    pairs: Sequence[tuple[str, str]] = [
        *answer.headers.items(),
        ("Content-Length", str(len(answer.body))),
    ]
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]
    return {"type": f"{kind}.response.start", "status": answer.status, "headers": headers}


async def _refuse_request(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    await send(_start("http", answer))
    await send({"type": "http.response.body", "body": answer.body})


async def _refuse_socket(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a WebSocket before it is accepted, with an answer where the server can send one."""
    await receive()  # websocket.connect
    if "websocket.http.response" in (scope.get("extensions") or {}):
        await send(_start("websocket.http", answer))
        await send({"type": "websocket.http.response.body", "body": answer.body})
    else:
        await send({"type": "websocket.close", "code": ENDED})
