"""Server-sent events, encoded once for all who are sent them, also compressed.

A gzip stream (RFC 1952) usually has one compressor for each reader. Here what is sent to many is
compressed by itself and ends on a byte (a sync flush of zlib), so that such pieces can follow each
other in any reader's stream (RFC 1951 section 3.2: blocks that refer to nothing before them). Only
the checksum at the end is each reader's own.
"""

from __future__ import annotations

import zlib

COMMENT = b":\n\n"
"""An event stream's comment, which keeps a silent connection open."""

MOST_STORED = 400
"""Bytes that are not worth compressing."""

GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
LAST_BLOCK = b"\x03\0"


def encode_event(kind: str, data: bytes, id: str = "") -> bytes:
    """Return an event; ``data`` is without line ends, as JSON is, and so is ``id``."""
    name = f"id: {id}\n" if id else ""
    return b"%bevent: %b\ndata: %b\n\n" % (name.encode(), kind.encode(), data)


class Piece:
    """Some bytes of event streams, compressed when that is first asked for."""

    __slots__ = ("_compressed", "plain")

    def __init__(self, plain: bytes) -> None:
        self.plain = plain
        self._compressed: bytes | None = None

    @property
    def compressed(self) -> bytes:
        """The blocks that stand for it in a gzip stream."""
        if self._compressed is None:
            self._compressed = _compress(self.plain)
        return self._compressed


def _compress(plain: bytes) -> bytes:
    size = len(plain)
    if size <= MOST_STORED:
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
        """Return what stands for the next piece, after `GZIP_HEADER`."""
        self._checksum = zlib.crc32(piece.plain, self._checksum)
        self._size += len(piece.plain)
        return piece.compressed

    def end(self) -> bytes:
        """Return the end of the stream."""
        size = self._size & 0xFFFFFFFF
        return LAST_BLOCK + self._checksum.to_bytes(4, "little") + size.to_bytes(4, "little")
