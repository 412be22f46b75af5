"""Server-sent events, encoded once for all readers, and compressed once too.

Usually, a gzip stream (RFC 1952) has a compressor for each reader. Here, what is sent to many is
compressed once, into blocks that end on a byte boundary (a sync flush of zlib) and refer to nothing
before them (RFC 1951 section 3.2), so that they can be part of any reader's stream. Only the
checksum at the end is computed for each reader.
"""

from __future__ import annotations

import zlib

COMMENT = b":\n\n"
"""A comment in an event stream, which keeps an idle connection open."""

MAX_STORED = 400
"""The largest size, in bytes, that is stored without compression."""

GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
LAST_BLOCK = b"\x03\0"


def encode_event(kind: str, data: bytes, id: str = "") -> bytes:
    """Return an encoded event; neither ``data`` nor ``id`` contains a line break."""
    name = f"id: {id}\n" if id else ""
    return b"%bevent: %b\ndata: %b\n\n" % (name.encode(), kind.encode(), data)


class Piece:
    """Bytes that are part of one or more event streams; they are compressed on first use."""

    __slots__ = ("_compressed", "plain")

    def __init__(self, plain: bytes) -> None:
        self.plain = plain
        self._compressed: bytes | None = None

    @property
    def compressed(self) -> bytes:
        """The deflate blocks of these bytes."""
        if self._compressed is None:
            self._compressed = _compress(self.plain)
        return self._compressed


def _compress(plain: bytes) -> bytes:
    size = len(plain)
    if size <= MAX_STORED:
        lengths = size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little")
        return b"\0" + lengths + plain
    compressor = zlib.compressobj(level=1, wbits=-zlib.MAX_WBITS)
    return compressor.compress(plain) + compressor.flush(zlib.Z_SYNC_FLUSH)


class Gzip:
    """The gzip stream of one reader."""

    def __init__(self) -> None:
        self._checksum = 0
        self._size = 0

    def add(self, piece: Piece) -> bytes:
        """Return the compressed bytes of the next piece; the first follows `GZIP_HEADER`."""
        self._checksum = zlib.crc32(piece.plain, self._checksum)
        self._size += len(piece.plain)
        return piece.compressed

    def end(self) -> bytes:
        """Return the end of the stream."""
        size = self._size & 0xFFFFFFFF
        return LAST_BLOCK + self._checksum.to_bytes(4, "little") + size.to_bytes(4, "little")
