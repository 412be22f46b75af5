"""How far a guard has read the feed: a position in the log of each partition, as one short text.

The text is the ``id`` of server-sent events, which a client returns in ``Last-Event-ID``. It is
base64url of a digest of all epochs, followed by numbers: the newest time among the entries, then
for each entry how long before that it was written, and its number within that millisecond. It is
opaque to clients. Times and numbers that are out of range make a text invalid.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from hashlib import blake2b

import msgspec

from hub.core.position import order

DIGEST_BYTES = 8
MAX_CHARACTERS = 1024
"""The length limit of a position's text; more than any position needs."""

MAX_BITS = 64


class FeedPosition(msgspec.Struct, frozen=True):
    """A position in each partition: ``epochs`` is the digest of all of their epochs."""

    epochs: bytes
    entries: tuple[str, ...]


def digest_epochs(epochs: Sequence[str]) -> bytes:
    """Return the digest of the epochs of all partitions; entries of other epochs mean nothing."""
    text = "\n".join(epochs).encode()
    return blake2b(text, digest_size=DIGEST_BYTES, person=b"feed position").digest()


def encode_position(position: FeedPosition) -> str:
    """Return the text of a position."""
    entries = list(map(order, position.entries))
    newest = max(time for time, _ in entries)
    packed = bytearray(position.epochs)
    _pack(packed, newest)
    for time, number in entries:
        _pack(packed, newest - time)
        _pack(packed, number)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode_position(text: str, partitions: int) -> FeedPosition | None:
    """Return the position in a text, or None if it is not one with this many partitions."""
    if len(text) > MAX_CHARACTERS or not text.isascii():
        return None
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    try:
        newest, *numbers = _unpack(packed[DIGEST_BYTES:])
    except ValueError:
        return None
    if len(numbers) != 2 * partitions:
        return None
    pairs = zip(numbers[0::2], numbers[1::2], strict=True)
    if any(age > newest for age in numbers[0::2]):
        return None
    entries = tuple(f"{newest - age}-{number}" for age, number in pairs)
    position = FeedPosition(packed[:DIGEST_BYTES], entries)
    return position if encode_position(position) == text else None


def _pack(packed: bytearray, number: int) -> None:
    """Append a number in groups of seven bits, the lowest first (LEB128)."""
    while number > 0x7F:
        packed.append(number & 0x7F | 0x80)
        number >>= 7
    packed.append(number)


def _unpack(packed: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in packed:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte & 0x80:
            continue
        if number >> MAX_BITS:
            raise ValueError("a number beyond those of entries")
        yield number
        number = shift = 0
    if shift:
        raise ValueError("the last number has no end")
