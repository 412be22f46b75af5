"""What all middleware of the guard shares: exempt paths, and how requests are refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from hub.core.cookies import find_cookie
from hub.core.hosts import browser_origin
from hub.core.problem import CONTENT_TYPE, problem_headers, view_problem
from hub.errors import HubError, OriginNotAllowed, TokenInvalid, Unauthorized

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
AMBIGUOUS = re.compile(r"\.\.|//|\\")


class Answer(NamedTuple):
    """How a request is refused."""

    status: int
    headers: dict[str, str]
    body: bytes


class RequestSummary(msgspec.Struct, frozen=True):
    """What a refusal depends on in a request; the path is decoded, the query is not.

    The other members are the headers ``Accept``, ``Sec-Fetch-Mode``, ``Sec-Fetch-Site``,
    ``Origin`` and ``Host``, empty if missing.
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
        """Whether a browser will show the response as a page (Fetch Metadata, section 2.2)."""
        if self.fetch_mode:
            return self.fetch_mode == "navigate"
        return self.method in ("GET", "HEAD") and "text/html" in self.accept.lower()


class Gate:
    """The options that all middleware shares: see `hub.guard.asgi.GuardMiddleware`."""

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
            paths.append(urlsplit(login_url).path)  # else it would redirect to itself
        if wrong := [path for path in paths if not path.startswith(("/", "*"))]:
            raise ValueError(f"an exempt path must begin with a slash: {wrong[0]!r}")
        self._exact = frozenset(path for path in paths if not path.endswith("*"))
        self._prefixes = tuple(path[:-1] for path in paths if path.endswith("*"))
        self._login_url = login_url
        self._origins = frozenset(map(browser_origin, origins))
        self.cookie = cookie

    def is_exempt(self, path: str) -> bool:
        """Return whether a path is exempt, and cannot be resolved to another path."""
        if path in self._exact:
            return True
        return path.startswith(self._prefixes) and AMBIGUOUS.search(path) is None

    def read_token(
        self,
        authorizations: Sequence[str],
        cookies: Iterable[str],
        *,
        is_safe: bool,
        request: Callable[[], RequestSummary],
    ) -> str:
        """Return the token of a request, or an empty string.

        ``is_safe`` says that the request changes nothing and opens no socket. ``request`` returns
        its summary, which is rarely needed.

        Raises:
            TokenInvalid: as `find_token` does.
            OriginNotAllowed: as `check_origin` does, for a cookie in an unsafe request.
        """
        token, is_cookie = self.find_token(authorizations, cookies)
        if token and is_cookie and not is_safe:
            self.check_origin(request())
        return token

    def find_token(self, authorizations: Sequence[str], cookies: Iterable[str]) -> tuple[str, bool]:
        """Return the token of a request, or an empty string, and whether it was in the cookie.

        ``authorizations`` are the values of all ``Authorization`` headers.

        Raises:
            TokenInvalid: when there are several of these, since the app might read another one, or
                several cookies of the name.
        """
        if len(authorizations) > 1:
            raise TokenInvalid("there are several Authorization headers")
        if authorizations and authorizations[0]:
            scheme, _, token = authorizations[0].partition(" ")
            return (token.strip(), False) if scheme.lower() == "bearer" else ("", False)
        if self.cookie is None:
            return "", False
        return find_cookie(cookies, self.cookie) or "", True

    def check_origin(self, request: RequestSummary) -> None:
        """Check that a request with a cookie comes from the app's own pages, or from ``origins``.

        Raises:
            OriginNotAllowed: when it does not.
        """
        if not request.origin or request.fetch_site == "same-origin":
            return
        origin = request.origin.lower()
        is_own = request.host != "" and origin.partition("://")[2] == request.host.lower()
        if not is_own and origin not in self._origins:
            raise OriginNotAllowed(request.origin)

    def refuse(self, error: HubError, request: RequestSummary) -> Answer:
        """Return the answer to an error: problem details, or a redirect to the login for a page."""
        if (
            self._login_url is not None
            and isinstance(error, Unauthorized)
            and request.is_navigation
        ):
            headers = {"Location": self._login_address(request), "Content-Type": "text/plain"}
            return Answer(303, {**headers, "Cache-Control": "no-store"}, b"")
        return explain(error)

    def _login_address(self, request: RequestSummary) -> str:
        url = str(self._login_url)
        if request.method not in SAFE_METHODS:
            return url  # its body is lost, and a GET of the address may not be a page
        wanted = own_address(request.path, request.query)
        return f"{url}{'&' if '?' in url else '?'}{urlencode({'next': wanted})}"


def explain(error: HubError) -> Answer:
    """Return the answer to an error as problem details (RFC 9457), like the hub's own."""
    headers = {**problem_headers(error), "Cache-Control": "no-store", "Content-Type": CONTENT_TYPE}
    return Answer(error.status, headers, msgspec.json.encode(view_problem(error, error.status)))


def own_address(path: str, query: str) -> str:
    """Return a path and query as an address that is certainly on the same host.

    It is percent-encoded, so that it has no backslash or control character that a browser would
    interpret, and begins with a single slash: two would name another host.
    """
    own = "/" + quote(path.lstrip("/"), safe="/:@!$&'()*+,;=~", errors="surrogateescape")
    asked = quote(query, safe="/:@!$&()*+,;=~?%", encoding="latin-1", errors="replace")
    return f"{own}?{asked}" if query else own
