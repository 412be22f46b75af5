"""WebSocket frames (RFC 6455 section 5) on a server: decodes one frame at a time, and encodes.

Each call decodes one frame, so that the caller controls how many it handles at once. Decoding is
strict: whatever the RFC forbids raises `ProtocolError` with the status code for the close frame.
"""

from __future__ import annotations

import enum
import functools

NORMAL, GOING_AWAY, PROTOCOL_ERROR, UNSUPPORTED = 1000, 1001, 1002, 1003
NO_TEXT, POLICY, TOO_LARGE = 1007, 1008, 1009


class Kind(enum.IntEnum):
    """The kinds of frames (section 5.2)."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class ProtocolError(Exception):
    """The client broke the protocol; ``code`` is for the close frame (section 7.4.1)."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


_KINDS = {int(kind): kind for kind in Kind}
_WHOLE = {0x80 | kind: kind for kind in (Kind.TEXT, Kind.CLOSE, Kind.PING, Kind.PONG)}
"""The first byte of a frame that is the only one of its message."""

CLOSE_BYTE = 0x80 | Kind.CLOSE
MASKED, SHORT, MEDIUM = 0x80, 125, 126


class FrameReader:
    """Decodes the frames of one client; a message has at most ``max_size`` bytes."""

    __slots__ = ("_buffer", "_message", "max_size")

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size
        self._buffer = bytearray()
        self._message: bytearray | None = None

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        self._buffer += data

    def __len__(self) -> int:
        """Return how many bytes are not decoded yet."""
        return len(self._buffer)

    def drop(self) -> None:
        """Discard all received bytes."""
        self._buffer, self._message = bytearray(), None

    def next(self) -> tuple[Kind, bytes | str, int] | None:
        """Return the next frame as kind, data and size in bytes; None if it is incomplete.

        A message in several frames is returned with the last one; each frame before it is returned
        as an empty CONTINUATION, so that the caller can charge for it. The data of TEXT is a str.
        The data of CLOSE is raw; use `read_close`.

        Raises:
            ProtocolError: if the client broke the protocol.
        """
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, second = buffer[0], buffer[1]
        whole = _WHOLE.get(first)
        if whole is not None and self._message is None:
            # A shortcut for nearly all frames; `_next_of_any` would return the same.
            size, start = second - MASKED, 6
            fits = 0 <= size <= SHORT
            if size == MEDIUM and whole is Kind.TEXT:
                size, start = int.from_bytes(buffer[2:4], "big"), 8
                fits = size > SHORT
            end = start + size
            if fits and end <= len(buffer) and size <= self.max_size:
                data = unmask(buffer[start:end], buffer[start - 4 : start])
                del buffer[:end]
                return whole, _read_text(data) if whole is Kind.TEXT else data, end
        return self._next_of_any(first, second)

    def _next_of_any(self, first: int, second: int) -> tuple[Kind, bytes | str, int] | None:
        buffer = self._buffer
        kind = _KINDS.get(first & 0x0F)
        size, start = second & 0x7F, 6
        if kind is None or first & 0x70:
            raise ProtocolError(PROTOCOL_ERROR, "reserved bits or an unknown opcode")
        if not second & MASKED:
            raise ProtocolError(PROTOCOL_ERROR, "clients must mask frames (section 5.1)")
        if kind >= Kind.CLOSE and (size > SHORT or not first & 0x80):
            raise ProtocolError(
                PROTOCOL_ERROR, "a control frame must be whole and short (section 5.5)"
            )
        if size > SHORT:
            more = 2 if size == MEDIUM else 8
            if len(buffer) < 2 + more:
                return None
            start += more
            size = int.from_bytes(buffer[2 : 2 + more], "big")
            if size < (126 if more == 2 else 65536) or size >> 63:
                raise ProtocolError(
                    PROTOCOL_ERROR, "the length is not encoded minimally (section 5.2)"
                )
        self._check(kind, size)
        if len(buffer) < start + size:
            return None
        data = unmask(buffer[start : start + size], buffer[start - 4 : start])
        del buffer[: start + size]
        return self._put_together(kind, bool(first & 0x80), data, start + size)

    def _check(self, kind: Kind, size: int) -> None:
        if kind >= Kind.CLOSE:
            return
        if (kind is Kind.CONTINUATION) != (self._message is not None):
            raise ProtocolError(PROTOCOL_ERROR, "a continuation of nothing, or none of a message")
        if kind is Kind.BINARY:
            raise ProtocolError(UNSUPPORTED, "binary messages are not supported")
        if size + len(self._message or b"") > self.max_size:
            raise ProtocolError(TOO_LARGE, f"a message of more than {self.max_size} bytes")

    def _put_together(
        self, kind: Kind, is_last: bool, data: bytes, cost: int
    ) -> tuple[Kind, bytes | str, int]:
        if kind >= Kind.CLOSE:
            return kind, data, cost
        if not is_last:
            if self._message is None:
                self._message = bytearray()
            self._message += data
            return Kind.CONTINUATION, b"", cost
        whole, self._message = (self._message or b"") + data, None
        return Kind.TEXT, _read_text(whole), cost


def _read_text(data: bytes | bytearray) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ProtocolError(NO_TEXT, "a text message that is not UTF-8") from None


def unmask(data: bytes | bytearray, key: bytes | bytearray) -> bytes:
    """Remove the mask from data, or apply it (section 5.3)."""
    size = len(data)
    mask = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(mask, "little")).to_bytes(
        size, "little"
    )


def read_close(data: bytes) -> int:
    """Return the status code in a close frame's data, or `NORMAL` if the data is empty.

    Raises:
        ProtocolError: if the code is incomplete or must not be sent, or the reason is not UTF-8.
    """
    if not data:
        return NORMAL
    code = int.from_bytes(data[:2], "big")
    # Section 7.4 and IANA's registry: 1004 to 1006 and 1015 are never sent.
    if len(data) == 1 or not (1000 <= code <= 1014 or 3000 <= code <= 4999) or 1004 <= code <= 1006:
        raise ProtocolError(PROTOCOL_ERROR, "a close frame without a proper code")
    try:
        data[2:].decode()
    except UnicodeDecodeError:
        raise ProtocolError(NO_TEXT, "a reason that is not UTF-8") from None
    return code


def encode_text(text: str) -> bytes:
    """Return a text frame as a server sends it, unmasked."""
    return encode_frame(Kind.TEXT, text.encode())


@functools.lru_cache(maxsize=32)
def encode_close(code: int) -> bytes:
    """Return a close frame with a status code."""
    return encode_frame(Kind.CLOSE, code.to_bytes(2, "big"))


def encode_frame(kind: Kind, data: bytes) -> bytes:
    """Return a complete frame as a server sends it, unmasked (section 5.2)."""
    size = len(data)
    first = 0x80 | kind
    if size < 126:
        return bytes((first, size)) + data
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + data
    return bytes((first, 127)) + size.to_bytes(8, "big") + data
