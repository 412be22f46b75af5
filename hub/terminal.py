"""What others have named, as text in which a terminal finds nothing to act on.

A device, a session, a reason, an issuer or an error may hold escape sequences, line breaks or
characters that turn the direction of text. Whatever the program prints goes through here: what its
commands say, and its log lines.
"""

from __future__ import annotations

import json
from typing import Any


def escape(text: str) -> str:
    """Return a text as one line, in which Python's own escapes stand for what is not printable."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def encode_json(value: Any, **options: Any) -> str:
    """Return a value as one line of JSON, for programs; ``options`` are those of `json.dumps`."""
    return json.dumps(value, **options).replace("\x7f", "\\u007f")
