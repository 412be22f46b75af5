"""HTTP connections with deadlines: aiohttp's, with limits on how a stranger can hold one open.

aiohttp limits a request, not a connection: it waits for headers as long as it waits between two
requests, keeps an answer that nobody reads for ever, and goes on reading, and buffering, after
what it could not parse. This uses internals of aiohttp, which are covered by
``tests/attacks/test_slow_http.py``, ``tests/attacks/test_garbage.py`` and
``tests/attacks/test_unfinished.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import RequestHandler, _ErrInfo
from aiohttp.web_server import Server

from hub.api.problem import problem
from hub.api.unfinished import MOST_HEAD, PIECE, Unfinished
from hub.errors import HubError, InvalidRequest, Unavailable


class Connection(RequestHandler):
    """One HTTP connection; the listener (`hub.api.listener`) aborts it when it takes too long.

    ``since`` is when the wait for a first or a partly received request began; None while a request
    is handled, and between two. ``on_lost`` is called when the connection is lost, for a handler
    that waits for something else.
    """

    __slots__ = (
        "_body",
        "_broken",
        "_held",
        "_is_backlog",
        "_unfinished",
        "behind_since",
        "on_lost",
        "since",
        "unread",
        "unread_since",
    )

    def __init__(
        self, manager: Server, since: float, unfinished: Unfinished, **options: Any
    ) -> None:
        super().__init__(manager, **options)
        self._broken = False
        self._body = EMPTY_PAYLOAD
        self._held = 0
        self._is_backlog = False
        self._unfinished = unfinished
        self.on_lost: Callable[[], None] | None = None
        self.since: float | None = since
        self.unread = 0
        self.unread_since: float | None = None
        self.behind_since: float | None = None

    def connection_lost(self, exc: BaseException | None) -> None:
        """Notify the handler that asked for it, then do as aiohttp does."""
        on_lost, self.on_lost = self.on_lost, None
        self._unfinished.note(self, 0)
        super().connection_lost(exc)
        if on_lost is not None:
            on_lost()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; after what could not be parsed nothing more is read."""
        for start in range(0, len(data) or 1, PIECE):
            if self._broken or self._close or self._force_close:
                return
            self._read(data[start : start + PIECE])

    def _read(self, data: bytes) -> None:
        before, was_whole = self._request_count, self._body.is_eof()
        super().data_received(data)
        if self._request_count == before:
            if data and self.is_idle:
                self.since = self.since or self._loop.time()
            self._hold(self._held + len(data), in_head=was_whole)
            return
        self.since = None
        last, self._body = self._messages[-1]
        if isinstance(last, _ErrInfo):
            self._break_off(last)
        self._hold(self._held if self._buffer_paused else len(data), in_head=False)

    def _hold(self, size: int, *, in_head: bool) -> None:
        """Note how much is held of a request that has not arrived whole."""
        is_whole = self._body.is_eof() and not (in_head or self._buffer_paused)
        self._held = 0 if is_whole else size
        # While aiohttp takes no more requests they wait in its parser, and what is held is not one
        # head. How much of it is left later is not known, so it counts until all are parsed.
        self._is_backlog = self._buffer_paused or (self._is_backlog and in_head)
        self._unfinished.note(self, self._held)
        if in_head and self._held > MOST_HEAD and not self._is_backlog:
            error = _ErrInfo(431, ValueError(), "the headers are too large")
            self._messages.append((error, EMPTY_PAYLOAD))
            self._request_count += 1
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)
            self._break_off(error)

    def _break_off(self, error: _ErrInfo) -> None:
        self._broken = True
        self._pause_transport_reading()
        # Its traceback keeps all that was read, in a cycle that waits for the garbage collector.
        if error.exc is not None:
            error.exc.__traceback__ = error.exc.__cause__ = error.exc.__context__ = None

    def abort(self) -> None:
        """Close at once, unless the connection is lost, or was handed over."""
        if self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed, or handled, as problem details.

        Raises:
            ConnectionError: when an answer has begun, so that the connection can only be closed.
        """
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun")
        error: HubError = Unavailable("the hub failed")
        if status < 500:
            error = InvalidRequest("the request cannot be read")
        answer = problem(error, status if status < 500 else None)
        add_common_headers(answer)
        answer.force_close()
        return answer

    @property
    def is_pipelined(self) -> bool:
        """Whether more requests have arrived than the one that is being handled."""
        return bool(self._messages)

    @property
    def is_idle(self) -> bool:
        """Whether it is waiting for a request."""
        return self._waiter is not None and not self._waiter.done()


def add_common_headers(answer: web.StreamResponse) -> None:
    """Add the headers of every answer: no caching, and no version in ``Server``."""
    headers = answer.headers
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers["Server"] = "logout-hub"
