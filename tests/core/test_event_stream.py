"""Events are written as the standard says, and compressed once for all who read them."""

from __future__ import annotations

import gzip
import zlib

from hypothesis import given
from hypothesis import strategies as st

from hub.core.event_stream import GZIP_HEADER, Gzip, Piece, encode_event


def test_an_event_is_written_in_lines() -> None:
    """With an id where there is one."""
    assert encode_event("ready", b"{}") == b"event: ready\ndata: {}\n\n"
    assert encode_event("ready", b"{}", "x") == b"id: x\nevent: ready\ndata: {}\n\n"


@given(st.lists(st.binary(max_size=2000), max_size=6), st.integers(0, 5))
def test_pieces_form_a_gzip_stream_for_each_reader(texts: list[bytes], start: int) -> None:
    """From whichever piece on somebody reads; and each piece can be read when it arrives."""
    pieces = [Piece(text * 3) for text in texts][start:]
    mine, reader, sent = Gzip(), zlib.decompressobj(wbits=31), GZIP_HEADER
    reader.decompress(GZIP_HEADER)
    for piece in pieces:
        sent += mine.add(piece)
        assert reader.decompress(piece.compressed) == piece.plain
    assert gzip.decompress(sent + mine.end()) == b"".join(piece.plain for piece in pieces)
