"""Reads server-sent events: bytes in, events out.

https://html.spec.whatwg.org/multipage/server-sent-events.html, sections 9.2.5 and 9.2.6.
"""

from __future__ import annotations

import msgspec

MAX_EVENT_BYTES = 16_000_000
BOM = b"\xef\xbb\xbf"


class TooLong(ValueError):
    """A line or an event is longer than the guard accepts."""


class StreamEvent(msgspec.Struct, frozen=True):
    """An event; ``id`` is the stream's last id so far, empty before the first."""

    kind: str
    data: bytes
    id: str


class EventStream:
    """Parses one response; ``last_id`` is the id that the reader asked to resume from.

    ``retry`` is how many seconds the server wants the client to wait before it reconnects.
    """

    def __init__(self, last_id: str = "", max_bytes: int = MAX_EVENT_BYTES) -> None:
        self.retry: float | None = None
        self._max_bytes = max_bytes
        self._begin: bytes | None = b""
        self._line: list[bytes] = []
        self._line_bytes = 0
        self._after_cr = False
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._kind = ""
        self._id = last_id

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Return the events that ``chunk`` completes.

        Raises:
            TooLong: if a line or an event is too long.
        """
        if self._begin is not None:
            chunk = self._skip_bom(chunk)
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if not chunk:
            return []
        lines = chunk.splitlines()
        is_whole = chunk.endswith((b"\n", b"\r"))
        self._after_cr = chunk.endswith(b"\r")
        rest = b"" if is_whole else lines.pop()
        if lines:
            lines[0] = b"".join((*self._line, lines[0]))
            self._line, self._line_bytes = [], 0
        if rest:
            self._keep(rest)
        return [event for line in lines if (event := self._take(line)) is not None]

    def _skip_bom(self, chunk: bytes) -> bytes:
        begin = (self._begin or b"") + chunk
        if len(begin) < len(BOM) and BOM.startswith(begin):
            self._begin = begin
            return b""
        self._begin = None
        return begin.removeprefix(BOM)

    def _keep(self, part: bytes) -> None:
        self._line.append(part)
        self._line_bytes += len(part)
        if self._line_bytes > self._max_bytes:
            raise TooLong(f"a line is longer than {self._max_bytes} bytes")

    def _take(self, line: bytes) -> StreamEvent | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data_bytes += len(value) + 1
            if self._data_bytes > self._max_bytes:
                raise TooLong(f"an event is longer than {self._max_bytes} bytes")
            self._data.append(value)
        elif field == b"event":
            self._kind = value.decode(errors="replace")
        elif field == b"id" and b"\0" not in value:
            self._id = value.decode(errors="replace")
        elif field == b"retry" and value.isdigit():
            self.retry = min(int(value[:9]), 60_000) / 1000
        return None

    def _dispatch(self) -> StreamEvent | None:
        data, kind = self._data, self._kind
        self._data, self._data_bytes, self._kind = [], 0, ""
        if not data:
            return None
        return StreamEvent(kind or "message", b"\n".join(data), self._id)
