"""The request that a proxy asks about at ``/verify``, by the headers in which the proxy names it.

Nothing here is trusted: a client may send these headers too, and not every proxy overwrites them.
They are used only for the log, and to return from a login page.
"""

from __future__ import annotations

from collections.abc import Container
from urllib.parse import quote

import msgspec
from multidict import CIMultiDictProxy

MAX_SHOWN = 256
"""Characters of a path in the log."""

MAX_URL = 2048
"""Characters of a URL that a login page is given."""


class Original(msgspec.Struct, frozen=True):
    """A request as its proxy describes it; members that the proxy does not send are empty."""

    method: str
    origin: str
    target: str

    def describe(self) -> dict[str, str]:
        """Return the request for a log line: without query, which may hold tokens, or controls."""
        path = self.target.partition("?")[0].partition("#")[0]
        return {"method": _show(self.method, 16), "path": _show(path, MAX_SHOWN)}

    def find_url(self, origins: Container[str]) -> str | None:
        """Return its whole URL, if that is on one of ``origins`` and may stand in a URL."""
        url = self.origin + self.target
        is_plain = url.isascii() and url.isprintable() and not set(' "<>\\').intersection(url)
        if self.origin not in origins or not self.target.startswith("/") or not is_plain:
            return None
        return url if len(url) <= MAX_URL else None


def read_original(headers: CIMultiDictProxy[str], method: str, target: str) -> Original:
    """Return the request that ``headers`` name.

    ``method`` and ``target`` are those of the call itself: Envoy asks with the request's own
    method, and with its path behind ``/verify``.
    """
    host = headers.get("X-Forwarded-Host", "") or headers.get("Host", "")
    origin = f"{headers.get('X-Forwarded-Proto', '')}://{host}"
    named = headers.get("X-Forwarded-Uri") or headers.get("X-Original-URI") or target
    if url := headers.get("X-Original-URL"):
        scheme, _, rest = url.partition("://")
        host, slash, named = rest.partition("/")
        origin, named = f"{scheme}://{host}", slash + named
    asked = headers.get("X-Forwarded-Method") or headers.get("X-Original-Method") or method
    return Original(asked, origin.lower(), named)


def is_navigation(headers: CIMultiDictProxy[str]) -> bool:
    """Return whether a browser navigates to a page, rather than a script requesting data.

    Browsers say so in ``Sec-Fetch-Mode`` (Fetch Metadata, section 2.2); without it, ``Accept``
    names HTML.
    """
    mode = headers.get("Sec-Fetch-Mode")
    if mode is not None:
        return mode == "navigate"
    return "X-Requested-With" not in headers and "text/html" in headers.get("Accept", "")


def login_address(login: str, url: str | None) -> str:
    """Return the address of a login page that leads back to ``url``, in the parameter ``next``."""
    if url is None:
        return login
    return f"{login}{'&' if '?' in login else '?'}next={quote(url, safe='')}"


def _show(text: str, most: int) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:most])
