"""Values of a token, times and durations as text for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hub.core.model import SECOND, Micros
from hub.terminal import encode_json, escape

MAX_SHOWN = 200


def show(value: Any) -> str:
    """Return a value of a token as text for people."""
    if isinstance(value, list | tuple) and value:
        text = ", ".join(show(item) for item in value)
    else:
        text = escape(value) if isinstance(value, str) and value else encode_json(value)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"


def show_time(at: Micros) -> str:
    """Return a time as text."""
    return datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def show_span(span: Micros) -> str:
    """Return a duration as text, in its two largest units."""
    left, parts = abs(span) // SECOND, []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
