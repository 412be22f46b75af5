"""Loads the Lua scripts of this package, each with its preludes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any, TypeAlias

import msgspec

Values: TypeAlias = Mapping[str, Any]
"""A script's values by name: strings, numbers, booleans, and lists and mappings of these."""

_encoder = msgspec.msgpack.Encoder()


class Script:
    """The concatenation of some files in ``lua/``: preludes, then the script itself.

    A script gets its values as one argument, which it unpacks with ``cmsgpack``. Those that are
    None are left out, and nil in the script.

    A script that ``must_last`` is followed by the wait for durability (`hub.store.durability`).
    """

    def __init__(self, *names: str, must_last: bool = False) -> None:
        self.must_last = must_last
        self.text = "".join(map(read_lua, names))
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def read_lua(name: str) -> str:
    """Return the text of a file in ``lua/``."""
    return resources.files("hub.store").joinpath("lua", f"{name}.lua").read_text()


def raw(data: bytes) -> msgspec.Raw:
    """Return bytes as a value: cmsgpack has no binary type, but its strings hold any bytes."""
    return msgspec.Raw(b"\xdb" + len(data).to_bytes(4) + data)


def pack_values(values: Values) -> bytes:
    """Encode a script's values as its single argument, without those that are None.

    Raises:
        UnicodeEncodeError: if UTF-8 cannot encode a string.
    """
    return _encoder.encode({name: value for name, value in values.items() if value is not None})
