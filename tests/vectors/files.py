"""The files of vectors, which guards in every language read: what they hold, and their form."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from tests.vectors import claims, forms, issuers, judged, schedules, streams

HERE = Path(__file__).parent

FILES: dict[Path, Callable[[], Iterable[dict[str, Any]]]] = {
    HERE / "judge.json": judged.vectors,
    HERE / "feed.json": streams.vectors,
    HERE / "schedule.json": schedules.vectors,
    HERE / "tokens.json": lambda: chain(claims.vectors(), forms.vectors(), issuers.vectors()),
}


def render(vectors: Iterable[dict[str, Any]]) -> str:
    """Return the text of a file: a JSON array, a vector on each line."""
    lines = (json.dumps(vector, separators=(",", ":")) for vector in vectors)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def load(name: str) -> list[dict[str, Any]]:
    """Return the vectors of a committed file."""
    found: list[dict[str, Any]] = json.loads((HERE / f"{name}.json").read_text("ascii"))
    return found
