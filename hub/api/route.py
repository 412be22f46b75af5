"""An entry in the table of routes."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from hub.api.answers import Handler
from hub.errors import HubError


class Route(msgspec.Struct, frozen=True):
    """One call: its address, summary, body and errors.

    A ``{path}`` that ends ``path`` may hold slashes. ``any_method`` says that all other methods do
    the same. What it answers is in the annotation of its handler. ``schemes`` are the ways to
    authenticate. ``consumes`` is the media type of a body that is a text. ``is_oauth`` says that
    its body is a form, and its errors are those of RFC 6749. ``waits`` says that it takes
    ``?wait=``, for the receipt; ``query`` are other parameters. ``on`` is the listener that serves
    it, where operators have a listener of their own.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    any_method: bool = False
    secured: bool = True
    schemes: tuple[str, ...] = ("bearer",)
    is_oauth: bool = False
    body: Any = None
    consumes: str | None = None
    errors: tuple[type[HubError], ...] = ()
    waits: bool = False
    query: tuple[dict[str, Any], ...] = ()
    on: Literal["public", "admin", "both"] = "public"
