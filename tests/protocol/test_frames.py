"""WebSocket frames, as RFC 6455 has them and no other way."""

from __future__ import annotations

import pytest

from hub.protocol.frames import (
    FrameReader,
    Kind,
    ProtocolError,
    encode_text,
    read_close,
    unmask,
)

LIMIT = 70_000


def masked(first: int, data: bytes) -> bytes:
    """Return a frame as a client sends it."""
    key, size = b"\x01\x02\x03\x04", len(data)
    if size < 126:
        header = bytes((first, 0x80 | size))
    elif size < 65536:
        header = bytes((first, 0xFE)) + size.to_bytes(2, "big")
    else:
        header = bytes((first, 0xFF)) + size.to_bytes(8, "big")
    return header + key + bytes(byte ^ key[index % 4] for index, byte in enumerate(data))


def read(data: bytes, limit: int = LIMIT) -> list[tuple[Kind, bytes | str]]:
    """Return the frames in some bytes."""
    reader, frames = FrameReader(limit), []
    reader.feed(data)
    while (frame := reader.next()) is not None:
        frames.append(frame[:2])
    return frames


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, LIMIT])
def test_a_message_of_any_size_up_to_the_limit_is_read(size: int) -> None:
    """Lengths are written in 7, 16 or 64 bits; exactly the limit is still taken."""
    text = "x" * size
    assert read(masked(0x81, text.encode())) == [(Kind.TEXT, text)]


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_a_frame_in_pieces_is_the_same_frame(step: int) -> None:
    """However the bytes arrive, the frames are those that were sent, with their size."""
    sent = masked(0x81, "4zwei ü".encode()) + masked(0x89, b"hi") + masked(0x81, b"y" * 300)
    reader, frames = FrameReader(LIMIT), []
    for start in range(0, len(sent), step):
        reader.feed(sent[start : start + step])
        while (frame := reader.next()) is not None:
            frames.append(frame)
    assert [frame[:2] for frame in frames] == [
        (Kind.TEXT, "4zwei ü"),
        (Kind.PING, b"hi"),
        (Kind.TEXT, "y" * 300),
    ]
    assert sum(frame[2] for frame in frames) == len(sent)
    assert len(reader) == 0


def test_fragments_are_put_together_and_each_is_told() -> None:
    """Each frame of a message is a frame; control frames may stand between them (section 5.4)."""
    sent = masked(0x01, b"4a") + masked(0x89, b"") + masked(0x00, b"") + masked(0x80, b"b")
    assert read(sent) == [
        (Kind.CONTINUATION, b""),
        (Kind.PING, b""),
        (Kind.CONTINUATION, b""),
        (Kind.TEXT, "4ab"),
    ]


FORBIDDEN = [
    (b"\x81\x024x", 1002, "no mask"),
    (b"\x89\x00", 1002, "no mask on a ping"),
    (b"\xc1\x80\0\0\0\0", 1002, "a reserved bit"),
    (b"\xf1\x80\0\0\0\0", 1002, "reserved bits"),
    (masked(0x83, b"x"), 1002, "a reserved opcode"),
    (masked(0x8B, b"x"), 1002, "a reserved control opcode"),
    (masked(0x09, b"x"), 1002, "a ping in fragments"),
    (masked(0x89, b"x" * 126), 1002, "a long ping"),
    (masked(0x80, b"x"), 1002, "a continuation of nothing"),
    (masked(0x01, b"4a") + masked(0x81, b"4b"), 1002, "a message within a message"),
    (masked(0x01, b"") + masked(0x81, b"4b"), 1002, "the same after an empty fragment"),
    (b"\x81\xfe\x00\x7d\0\0\0\0", 1002, "16 bits for what fits in 7"),
    (b"\x81\xfe\x00\x7d" + bytes(129), 1002, "the same with all its data"),
    (b"\x81\xff\0\0\0\0\0\0\xff\xff\0\0\0\0", 1002, "64 bits for what fits in 16"),
    (b"\x81\xff\xff\0\0\0\0\0\0\0\0\0\0\0", 1002, "a length beyond 63 bits"),
    (masked(0x82, b"binary"), 1003, "binary"),
    (masked(0x81, b"\xff"), 1007, "no UTF-8"),
    (masked(0x81, b"\xed\xa0\x80"), 1007, "a surrogate"),
    (b"\x81\xff\0\0\0\0\0\x01\x11\x71", 1009, "one byte too many"),
    (masked(0x01, b"x" * LIMIT) + masked(0x80, b"x"), 1009, "one fragment too many"),
]


@pytest.mark.parametrize(("data", "code", "why"), FORBIDDEN, ids=[why for _, _, why in FORBIDDEN])
def test_what_is_forbidden_has_its_code(data: bytes, code: int, why: str) -> None:
    """Before the payload is there, where the header alone is enough to tell."""
    with pytest.raises(ProtocolError) as caught:
        read(data)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", 1000),
        (b"\x03\xe8", 1000),
        (b"\x03\xe9bye", 1001),
        (b"\x03\xf6", 1014),
        (b"\x0b\xb8", 3000),
        (b"\x13\x87", 4999),
    ],
)
def test_the_code_of_a_close_is_read(data: bytes, code: int) -> None:
    """No code is the normal one."""
    assert read_close(data) == code


@pytest.mark.parametrize(
    ("code", "answer"),
    [(c, 1002) for c in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)],
)
def test_a_code_that_is_never_sent_is_never_echoed(code: int, answer: int) -> None:
    """1006 and the like stand for what no frame says (section 7.4.1)."""
    with pytest.raises(ProtocolError) as caught:
        read_close(code.to_bytes(2, "big"))
    assert caught.value.code == answer


@pytest.mark.parametrize(("data", "code"), [(b"\x03", 1002), (b"\x03\xe8\xff", 1007)])
def test_a_malformed_close_has_its_code(data: bytes, code: int) -> None:
    """Half a code, or a reason that is no text."""
    with pytest.raises(ProtocolError) as caught:
        read_close(data)
    assert caught.value.code == code


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 1000])
def test_a_mask_taken_twice_is_none(size: int) -> None:
    """Masking is its own inverse (section 5.3)."""
    data, key = bytes(index % 256 for index in range(size)), b"\xa1\x02\xff\x00"
    assert unmask(unmask(data, key), key) == data
    assert unmask(data, key) == bytes(b ^ key[i % 4] for i, b in enumerate(data))


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_frames_have_the_shortest_length_that_fits(size: int) -> None:
    """7, 16 or 64 bits say how long a frame is (RFC 6455 section 5.2)."""
    frame = encode_text("x" * size)
    header = 2 if size < 126 else 4 if size < 65536 else 10
    assert len(frame) == header + size
    assert frame[0] == 0x81
    assert not frame[1] & 0x80
