"""An entry in the table of routes."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from hub.api.answers import Handler
from hub.errors import HubError


class Route(msgspec.Struct, frozen=True):
    """One call: its path, summary, body and errors.

    A ``{path}`` at the end of ``path`` may contain slashes. With ``any_method``, all other methods
    do the same. Its responses are in the annotation of its handler. ``schemes`` are the ways to
    authenticate. ``body`` is the type of a JSON body or, with ``is_oauth``, of a form; the errors
    are then those of RFC 6749. ``consumes`` is the media type of a text body. With ``waits`` it
    takes ``?wait=``, for the receipt; ``query`` are other parameters. ``on`` is the listener that
    serves it, if there is an admin listener.
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
