"""What is said of one call in the table of routes."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from hub.api.answers import Handler
from hub.errors import HubError


class Route(msgspec.Struct, frozen=True):
    """One call: where, what for, what it takes, and how it may refuse.

    What it answers is said by the annotation of its handler. ``waits`` when ``?wait=`` waits for
    the receipt; ``query`` are other parameters. ``on`` says on which listener it is, where there
    is one for operators.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    secured: bool = True
    body: Any = None
    errors: tuple[type[HubError], ...] = ()
    waits: bool = False
    query: tuple[dict[str, Any], ...] = ()
    on: Literal["public", "admin", "both"] = "public"
