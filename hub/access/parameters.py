"""The parameters of a query: each is read strictly, and has its limits."""

from __future__ import annotations

import base64
import math
import re

import msgspec

from hub.core.model import State, UserKey
from hub.errors import InvalidRequest

MAX_WAIT = 10.0
MAX_PAGE, USUAL_PAGE = 1000, 100
"""Sessions on a page: at most, and by default."""

MAX_PLACE = 4096
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
"""A number as in JSON; Python's ``float`` also accepts ``1_0`` and the digits of any script."""


def read_place(text: str | None) -> tuple[int, UserKey, str] | None:
    """Return the place in a list from ``?after=``, as encoded by `write_place`.

    Raises:
        InvalidRequest: if it is malformed.
    """
    if text is None:
        return None
    try:
        if len(text) > MAX_PLACE:
            raise ValueError("too long")
        packed = base64.urlsafe_b64decode(text.encode("ascii"))
        return msgspec.json.decode(packed, type=tuple[int, UserKey, str])
    except (ValueError, msgspec.DecodeError):
        raise InvalidRequest("after is not the next of another page") from None


def write_place(place: tuple[int, UserKey, str] | None) -> str | None:
    """Encode a place in a list for use in a URL."""
    return None if place is None else base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()


def read_page(text: str | None) -> int:
    """Return the page size from ``?limit=``.

    Raises:
        InvalidRequest: if it is not a number from 1 to `MAX_PAGE`.
    """
    if text is None:
        return USUAL_PAGE
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0
    if not 1 <= number <= MAX_PAGE:
        raise InvalidRequest(f"limit is a number from 1 to {MAX_PAGE}")
    return number


def read_state(text: str | None) -> State | None:
    """Return the state from ``?state=``, or None.

    Raises:
        InvalidRequest: if there is no such state.
    """
    if text is not None and text not in list(State):
        raise InvalidRequest(f"state is one of {', '.join(State)}")
    return None if text is None else State(text)


def read_wait(text: str | None) -> float:
    """Return the seconds from ``?wait=``, at most `MAX_WAIT`.

    Raises:
        InvalidRequest: if it is not a number of seconds.
    """
    if text is None:
        return 0.0
    seconds = float(text) if NUMBER.fullmatch(text) else -1.0
    if not 0 <= seconds < math.inf:
        raise InvalidRequest("wait is a number of seconds")
    return min(seconds, MAX_WAIT)
