"""Names of devices that people recognise, such as "Chrome on Windows"."""

from __future__ import annotations

from functools import lru_cache

import ua_parser

MAX_NAME = 100
MAX_USER_AGENT = 512
UNKNOWN = "Unknown device"


def tidy_name(given: str | None) -> str:
    """Return the name that a client gave, cut to one printable line of `MAX_NAME`; may be empty."""
    if not given:
        return ""
    spaced = " ".join(given.split())
    printable = "".join(character for character in spaced if character.isprintable())
    return " ".join(printable.split())[:MAX_NAME].strip()


def load_patterns() -> None:
    """Load the patterns of user agents, which takes about 27 MB and 0.25 s of CPU.

    Called at the start, so that the first socket does not delay the others.
    """
    ua_parser.parse("")


@lru_cache(maxsize=1024)
def describe_user_agent(user_agent: str) -> str:
    """Return a name for the device behind a ``User-Agent`` header."""
    readable = user_agent[:MAX_USER_AGENT].encode(errors="replace").decode()
    found = ua_parser.parse(readable)
    parts = [part.family for part in (found.user_agent, found.os) if part is not None]
    model = found.device.model if found.device and found.device.brand else None
    if not parts:
        return tidy_name(model) or UNKNOWN
    name = " on ".join(parts[:2])
    return tidy_name(f"{name} ({model})" if model and model not in name else name)
