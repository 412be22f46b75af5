"""HTTP connections with deadlines: aiohttp's, with limits on how long a client can hold one.

aiohttp limits a request, not a connection: it waits for headers as long as it waits between two
requests, keeps a response that nobody reads for ever, and continues to read and buffer after data
that it could not parse. ``test_slow_http.py``, ``test_garbage.py`` and ``test_unfinished.py`` in
``tests/attacks`` show that these limits hold.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from hub.aiohttp_internals import HttpConnection, HttpServer
from hub.api.problem import problem
from hub.api.unfinished import MAX_HEAD, PIECE, Unfinished
from hub.errors import InvalidRequest, Unavailable


class Connection(HttpConnection):
    """One HTTP connection; the listener (`hub.api.listener`) aborts it when it takes too long.

    ``since`` is when the wait for a first request, or for the rest of a request, began; None while
    a request is handled, and between two. ``unread`` is how many bytes waited at the last check,
    ``unread_since`` when the client last read any, and ``behind_since`` when it last had read
    everything.
    """

    __slots__ = (
        "_held",
        "_is_backlog",
        "_now",
        "_unfinished",
        "behind_since",
        "since",
        "unread",
        "unread_since",
    )

    def __init__(
        self, server: HttpServer, since: float, unfinished: Unfinished, **options: Any
    ) -> None:
        super().__init__(server, **options)
        self._held = 0
        self._is_backlog = False
        self._now = server.now
        self._unfinished = unfinished
        self.since: float | None = since
        self.unread = 0
        self.unread_since: float | None = None
        self.behind_since: float | None = None

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop counting this connection."""
        self._unfinished.note(self, 0)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes; after bytes that cannot be parsed, everything is ignored."""
        for start in range(0, len(data) or 1, PIECE):
            if self.is_over:
                return
            self._read(data[start : start + PIECE])

    def _read(self, data: bytes) -> None:
        was_whole = self.is_body_whole
        if not self.parse(data):
            if data and self.is_idle:
                self.since = self.since or self._now()
            self._hold(self._held + len(data), in_head=was_whole)
            return
        self.since = None
        self._hold(self._held if self.is_full else len(data), in_head=False)

    def _hold(self, size: int, *, in_head: bool) -> None:
        """Count the bytes that are held of an incomplete request."""
        is_full = self.is_full
        self._held = 0 if self.is_body_whole and not (in_head or is_full) else size
        # While aiohttp takes no more requests they wait in its parser, and what is held is not one
        # head. How much of it is left later is not known, so it counts until all are parsed.
        self._is_backlog = is_full or (self._is_backlog and in_head)
        self._unfinished.note(self, self._held)
        if in_head and self._held > MAX_HEAD and not self._is_backlog:
            self.refuse_head(431, "the headers are too large")

    def explain(self, status: int) -> web.StreamResponse:
        """Return problem details for a request that could not be parsed or handled."""
        if status < 500:
            answer = problem(InvalidRequest("the request cannot be read"), status)
        else:
            answer = problem(Unavailable("the hub failed"))
        add_common_headers(answer)
        return answer


def add_common_headers(answer: web.StreamResponse) -> None:
    """Add the headers of every response: no caching, and no version in ``Server``."""
    headers = answer.headers
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers["Server"] = "logout-hub"
