"""A queue in little memory: all but its oldest and newest values are packed."""

from __future__ import annotations

import collections
import zlib
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")

PACK = 500
"""How many values are packed together, and at most this many at each end are not."""

FASTEST = 1
"""The level of compression: names repeat, so a higher one gains little."""


class Backlog(Generic[T]):
    """Values in the order in which they came; ``kind`` is their type.

    A logout takes some 50 bytes here, less than the fact that the guard keeps of it anyway.
    """

    def __init__(self, kind: type[T]) -> None:
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(list[kind])  # type: ignore[valid-type]
        self._oldest: collections.deque[T] = collections.deque()
        self._packs: collections.deque[bytes] = collections.deque()
        self._newest: list[T] = []

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self._oldest) + PACK * len(self._packs) + len(self._newest)

    def append(self, value: T) -> None:
        """Add a value at the end."""
        self._newest.append(value)
        if len(self._newest) == PACK:
            self._packs.append(zlib.compress(self._encoder.encode(self._newest), FASTEST))
            self._newest = []

    def popleft(self) -> T:
        """Remove the oldest value, and return it.

        Raises:
            IndexError: when there is none.
        """
        if not self._oldest and self._packs:
            self._oldest.extend(self._decoder.decode(zlib.decompress(self._packs.popleft())))
        elif not self._oldest:
            self._oldest.extend(self._newest)
            self._newest = []
        return self._oldest.popleft()
