"""JSON without repeated members.

Parsers differ in which of two members of the same name they use (RFC 8259 section 4), so the code
that checks a text and the code that acts on it may read different values.
"""

from __future__ import annotations

import json
from typing import Any


class Repeated:
    """Replaces an object that has a repeated member; encoding it fails."""

    def __init__(self, name: str) -> None:
        self.name = name


def decode(text: str | bytes) -> Any:
    """Return the value of a JSON text, with `Repeated` for each object that repeats a member.

    Raises:
        ValueError, RecursionError: if it is not JSON.
    """
    whole = text if isinstance(text, str) else text.decode()
    try:
        value, end = _decoder.raw_decode(whole)
        if end == len(whole):
            return value
    except ValueError:
        pass
    # There is white space around it, or it is not JSON.
    return _decoder.decode(whole)


def find_repeated(text: bytes) -> str | None:
    """Return the name of a member that is repeated in any object of a JSON text, or None.

    Raises:
        ValueError, RecursionError: if it is not JSON.
    """
    found: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        if (repeated := _repeated(pairs)) is not None:
            found.append(repeated)

    json.JSONDecoder(object_pairs_hook=note).decode(text.decode())
    return found[0] if found else None


def _repeated(pairs: list[tuple[str, Any]]) -> str | None:
    if len(pairs) < 2:
        return None
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return name
        seen.add(name)
    return None


def _read_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Repeated:
    repeated = _repeated(pairs)
    return dict(pairs) if repeated is None else Repeated(repeated)


_decoder = json.JSONDecoder(object_pairs_hook=_read_pairs)
