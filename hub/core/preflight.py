"""CORS preflights, by which browsers ask whether a page may send a request."""

from __future__ import annotations

ASKED_METHOD = "Access-Control-Request-Method"
"""The header that names the method of the request that a page wants to send."""


def is_preflight(method: object, asked_method: object) -> bool:
    """Return whether a request is a preflight (Fetch standard, section 3.3).

    ``asked_method`` is the value of its header `ASKED_METHOD`, None without one.
    """
    return method == "OPTIONS" and asked_method is not None
