"""The Lua scripts of this package, each with the preludes that it needs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any, TypeAlias

import msgspec

Values: TypeAlias = Mapping[str, Any]
"""What a script is called with, by name: texts, numbers, booleans, lists and mappings of them."""

_encoder = msgspec.msgpack.Encoder()


class Script:
    """The files of these names in ``lua/``, one after the other: preludes, and the script itself.

    A script takes its values as one argument, which it unpacks by ``cmsgpack`` and reads by name;
    one that is None is nil there. What ``must_last`` waits for its `hub.store.durability`.
    """

    def __init__(self, *names: str, must_last: bool = False) -> None:
        self.must_last = must_last
        self.text = "".join(map(read_lua, names))
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def read_lua(name: str) -> str:
    """Return the text of a file of ``lua/``."""
    return resources.files("hub.store").joinpath("lua", f"{name}.lua").read_text()


def raw(data: bytes) -> msgspec.Raw:
    """Return bytes as a value: cmsgpack knows no binary type, but its strings hold any bytes."""
    return msgspec.Raw(b"\xdb" + len(data).to_bytes(4) + data)


def pack_values(values: Values) -> bytes:
    """Return a script's values as its one argument.

    Raises:
        UnicodeEncodeError: when a text is none that UTF-8 can hold.
    """
    return _encoder.encode(values)
