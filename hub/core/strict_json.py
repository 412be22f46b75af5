"""JSON in which no member stands twice.

Parsers differ in which of two members of one name they take (RFC 8259 section 4), so whoever checks
a text and whoever acts on it may read two things in it.
"""

from __future__ import annotations

import json
from typing import Any


class Repeated:
    """Stands for an object in which a member stands twice; no encoder takes it."""

    def __init__(self, name: str) -> None:
        self.name = name


def decode(text: str | bytes) -> Any:
    """Return what a JSON text says, with `Repeated` for each object that repeats a member.

    Raises:
        ValueError, RecursionError: when it is no JSON.
    """
    return _decoder.decode(text if isinstance(text, str) else text.decode())


def find_repeated(text: bytes) -> str | None:
    """Return the name of a member that stands twice in one object of a JSON text, if any does.

    Raises:
        ValueError, RecursionError: when it is no JSON.
    """
    found: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        if (repeated := _repeated(pairs)) is not None:
            found.append(repeated)

    json.JSONDecoder(object_pairs_hook=note).decode(text.decode())
    return found[0] if found else None


def _repeated(pairs: list[tuple[str, Any]]) -> str | None:
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
