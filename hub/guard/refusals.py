"""Whom a guard's middleware asks, whom it lets through, and how it refuses: without a framework."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from hub.core.cookies import find_cookie
from hub.core.problem import CONTENT_TYPE, problem_headers, view_problem
from hub.errors import HubError, OriginNotAllowed, TokenInvalid, Unauthorized

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
AMBIGUOUS = re.compile(r"\.\.|//|\\")


class Answer(NamedTuple):
    """How a request is refused."""

    status: int
    headers: dict[str, str]
    body: bytes


class Visit(msgspec.Struct, frozen=True):
    """What a refusal depends on in a request; the path is decoded, the query is not.

    The rest are the headers ``Accept``, ``Sec-Fetch-Mode``, ``Sec-Fetch-Site``, ``Origin`` and
    ``Host``, empty where there is none.
    """

    method: str
    path: str
    query: str = ""
    accept: str = ""
    fetch_mode: str = ""
    fetch_site: str = ""
    origin: str = ""
    host: str = ""

    @property
    def is_navigation(self) -> bool:
        """Whether a browser shows the answer as a page (Fetch Metadata, section 2.2)."""
        if self.fetch_mode:
            return self.fetch_mode == "navigate"
        return self.method in ("GET", "HEAD") and "text/html" in self.accept.lower()


class Gate:
    """What all middleware of guards is told: see `hub.guard.asgi.GuardMiddleware`."""

    def __init__(
        self,
        *,
        exempt: Iterable[str] = (),
        login_url: str | None = None,
        cookie: str | None = None,
        origins: Iterable[str] = (),
    ) -> None:
        paths = [exempt] if isinstance(exempt, str) else list(exempt)
        if login_url is not None and login_url.startswith("/"):
            paths.append(urlsplit(login_url).path)  # or who is sent there would be sent there again
        if wrong := [path for path in paths if not path.startswith(("/", "*"))]:
            raise ValueError(f"exempt paths begin with a slash: {wrong[0]!r}")
        self._exact = frozenset(path for path in paths if not path.endswith("*"))
        self._prefixes = tuple(path[:-1] for path in paths if path.endswith("*"))
        self._login_url = login_url
        self._origins = frozenset(origin.lower() for origin in origins)
        self.cookie = cookie

    def lets_through(self, path: str) -> bool:
        """Return whether a path is exempt; one that others might read as another path is not."""
        if path in self._exact:
            return True
        return path.startswith(self._prefixes) and AMBIGUOUS.search(path) is None

    def read_token(
        self,
        authorizations: Sequence[str],
        cookies: Iterable[str],
        *,
        is_safe: bool,
        visit: Callable[[], Visit],
    ) -> str:
        """Return the token of a request, empty if there is none.

        ``is_safe`` if the request changes nothing and opens no socket, ``visit`` describes it.

        Raises:
            TokenInvalid: as `find_token` does.
            OriginNotAllowed: as `check_origin` does, where a cookie is used for more than reading.
        """
        token, is_cookie = self.find_token(authorizations, cookies)
        if token and is_cookie and not is_safe:
            self.check_origin(visit())
        return token

    def find_token(self, authorizations: Sequence[str], cookies: Iterable[str]) -> tuple[str, bool]:
        """Return the token of a request, empty if there is none, and whether it was in the cookie.

        ``authorizations`` are the values of the headers ``Authorization``.

        Raises:
            TokenInvalid: when there are several, of which the app might read another one, or when
                the cookie is there several times.
        """
        if len(authorizations) > 1:
            raise TokenInvalid("there are several headers Authorization")
        if authorizations and authorizations[0]:
            scheme, _, token = authorizations[0].partition(" ")
            return (token.strip(), False) if scheme.lower() == "bearer" else ("", False)
        if self.cookie is None:
            return "", False
        return find_cookie(cookies, self.cookie) or "", True

    def check_origin(self, visit: Visit) -> None:
        """Refuse a cookie with which another site's page opens a socket or changes something.

        Raises:
            OriginNotAllowed: when the request is not of the app's own pages or of ``origins``.
        """
        if not visit.origin or visit.fetch_site == "same-origin":
            return
        origin = visit.origin.lower()
        is_own = visit.host != "" and origin.partition("://")[2] == visit.host.lower()
        if not is_own and origin not in self._origins:
            raise OriginNotAllowed(visit.origin)

    def refuse(self, error: HubError, visit: Visit) -> Answer:
        """Return the answer to an error: problem details, or the way to the login for a page."""
        if self._login_url is not None and isinstance(error, Unauthorized) and visit.is_navigation:
            headers = {"Location": self._way_to_login(visit), "Content-Type": "text/plain"}
            return Answer(303, {**headers, "Cache-Control": "no-store"}, b"")
        return explain(error)

    def _way_to_login(self, visit: Visit) -> str:
        url = str(self._login_url)
        if visit.method not in SAFE_METHODS:
            return url  # what was sent is lost, and the address alone may not be a page
        way = own_address(visit.path, visit.query)
        return f"{url}{'&' if '?' in url else '?'}{urlencode({'next': way})}"


def explain(error: HubError) -> Answer:
    """Return the answer to an error in problem details (RFC 9457), as the hub's own are."""
    headers = {**problem_headers(error), "Cache-Control": "no-store", "Content-Type": CONTENT_TYPE}
    return Answer(error.status, headers, msgspec.json.encode(view_problem(error, error.status)))


def own_address(path: str, query: str) -> str:
    """Return a path and query as an address on the same host, whatever a client made of them.

    Percent-encoded, so that no backslash or control character is left that a browser would read as
    something else, and with one slash in the beginning: two would name another host.
    """
    own = "/" + quote(path.lstrip("/"), safe="/:@!$&'()*+,;=~", errors="surrogateescape")
    asked = quote(query, safe="/:@!$&()*+,;=~?%", encoding="latin-1", errors="replace")
    return f"{own}?{asked}" if query else own
