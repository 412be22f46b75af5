"""Cookies of a request (RFC 6265)."""

from __future__ import annotations

from collections.abc import Iterable

from hub.errors import TokenInvalid

WHITE = " \t"


def find_cookie(headers: Iterable[str], name: str) -> str | None:
    """Return the value of the cookie of this name, in time linear in the size of the headers.

    ``headers`` are the values of the headers ``Cookie``.

    Raises:
        TokenInvalid: when there are several. A sibling subdomain can set a cookie of the same
            name, and servers cannot tell which is theirs (RFC 6265 section 4.2.2); a name that
            begins with ``__Host-`` rules that out.
    """
    found = {
        value.strip(WHITE).removeprefix('"').removesuffix('"')
        for header in headers
        for key, equals, value in (pair.partition("=") for pair in header.split(";"))
        if equals and key.strip(WHITE) == name
    }
    if len(found) > 1:
        raise TokenInvalid(f"several cookies are called {name}: give it a name like __Host-{name}")
    return found.pop() if found else None
