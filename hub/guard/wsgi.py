"""WSGI middleware (PEP 3333): for Flask, Django, Pyramid, Bottle, or a plain WSGI app."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any, TypeAlias

from hub.core.feed import Revocation
from hub.core.model import Identity
from hub.core.preflight import is_preflight
from hub.errors import HubError, TokenMissing
from hub.guard import own_logout
from hub.guard.cutting import watch_arguments
from hub.guard.own_logout import Ended
from hub.guard.refusals import SAFE_METHODS, Answer, Gate, RequestSummary
from hub.guard.sync_guard import SyncGuard

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Any]
App: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]
Login: TypeAlias = tuple[str, str, float]

IDENTITY = "hub.identity"
ENDED_ITSELF = "hub.ended"


class GuardMiddleware:
    """Admits requests of living sessions, and ends streams when theirs ends.

    Wraps a WSGI app. ``environ["hub.identity"]`` is the `Identity`, or None for a request that is
    admitted without one. ``guard`` is a `hub.guard.SyncGuard`, which may be started before the
    server forks its workers; ``session`` is a function of the environ. The other arguments are
    those of `hub.guard.asgi.GuardMiddleware`.

    A stream is a response without ``Content-Length``. Nothing can interrupt an app that blocks in
    its iterator, so a stream ends when the app is about to send its next chunk.
    """

    def __init__(
        self,
        app: App,
        guard: SyncGuard,
        *,
        exempt: Iterable[str] = (),
        login_url: str | None = None,
        cookie: str | None = None,
        session: Callable[[Environ], Login | None] | None = None,
        require: bool = True,
        cut_streams: bool = True,
        origins: Iterable[str] = (),
    ) -> None:
        self.app = app
        self._guard = guard
        self._gate = Gate(exempt=exempt, login_url=login_url, cookie=cookie, origins=origins)
        self._session = session
        self._require = require
        self._cut_streams = cut_streams

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        identity: Identity | None = environ.setdefault(IDENTITY, None)
        if not self._gate.is_exempt(_path(environ)) and not _is_preflight(environ):
            try:
                identity = self._identify(environ) or identity
                if identity is None and self._require:
                    raise TokenMissing()
            except HubError as error:
                return _send(self._gate.refuse(error, _summarize(environ)), environ, start_response)
        if identity is None or environ[IDENTITY] is identity or not self._cut_streams:
            environ[IDENTITY] = identity
            return self.app(environ, start_response)
        environ[IDENTITY] = identity
        return self._run(environ, start_response, identity)

    def _identify(self, environ: Environ) -> Identity | None:
        """Return who sent a request, or None if it has no credentials; raises `HubError`."""
        if self._session is not None:
            login = self._session(environ)
            if login is None:
                return None
            return self._guard.check_session(*login)
        token = self._gate.read_token(
            [environ.get("HTTP_AUTHORIZATION", "")],
            [environ.get("HTTP_COOKIE", "")],
            is_safe=environ["REQUEST_METHOD"] in SAFE_METHODS,
            request=lambda: _summarize(environ),
        )
        return self._guard.check(token) if token else None

    def _run(
        self, environ: Environ, start_response: StartResponse, identity: Identity
    ) -> Iterable[bytes]:
        lengths: list[bool] = []  # whether the length is known, once the response has begun

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            lengths.append(any(name.lower() == "content-length" for name, _ in headers))
            return start_response(status, headers, *exc_info)

        # The same for both, if this is used twice. It stays the current one, since the app may go
        # on when this has returned; the thread's next request replaces it.
        ended: Ended = environ.setdefault(ENDED_ITSELF, Ended())
        own_logout.current.set(ended)

        def is_spared() -> bool:
            return (bool(lengths) and lengths[-1]) or ended.includes(identity)

        chunks = self.app(environ, start)
        if isinstance(chunks, list | tuple) or is_spared():
            return chunks
        return Stream(chunks, self._guard, identity, is_spared)


class End:
    """The end of a session, noted in the guard's thread.

    The guard keeps this and not the stream, or a response that was dropped would stay for ever.
    """

    is_noted = False

    def note(self, revocation: Revocation) -> None:
        """Note the end."""
        self.is_noted = True


class Stream:
    """An iterator over the chunks of a response, which ends when the session does.

    It watches from its first chunk on, until the iteration ends in any way, since a response may be
    dropped without being closed. An app that is a generator may state its length, or end its
    session, as late as its first chunk; then its response is not cut.
    """

    def __init__(
        self,
        chunks: Iterable[bytes],
        guard: SyncGuard,
        identity: Identity,
        is_spared: Callable[[], bool],
    ) -> None:
        self._chunks = chunks
        self._guard = guard
        self._identity = identity
        self._is_spared = is_spared
        self._watching = contextlib.ExitStack()
        self._end = End()

    def __iter__(self) -> Iterator[bytes]:
        """Return the chunks until the session has ended, maybe while the app produced the next."""
        watch = self._guard.watch(*watch_arguments(self._identity))
        with self._watching:
            self._watching.enter_context(watch).on_end(self._end.note)
            chunks = iter(self._chunks)
            while not self._is_cut():
                chunk = next(chunks, None)
                if chunk is None or self._is_cut():
                    return
                yield chunk

    def _is_cut(self) -> bool:
        return self._end.is_noted and not self._is_spared()

    def close(self) -> None:
        """Stop watching, and close the app's iterator."""
        self._watching.close()
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()


def _path(environ: Environ) -> str:
    # PEP 3333 decodes bytes as Latin-1. A path that is not UTF-8 must not match an exempt one.
    path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return path.encode("latin-1").decode("utf-8", "surrogateescape")


def _is_preflight(environ: Environ) -> bool:
    asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD")
    return is_preflight(environ["REQUEST_METHOD"], asked)


def _summarize(environ: Environ) -> RequestSummary:
    return RequestSummary(
        method=environ["REQUEST_METHOD"],
        path=_path(environ),
        query=environ.get("QUERY_STRING", ""),
        accept=environ.get("HTTP_ACCEPT", ""),
        fetch_mode=environ.get("HTTP_SEC_FETCH_MODE", ""),
        fetch_site=environ.get("HTTP_SEC_FETCH_SITE", ""),
        origin=environ.get("HTTP_ORIGIN", ""),
        host=environ.get("HTTP_HOST", ""),
    )


def _send(answer: Answer, environ: Environ, start_response: StartResponse) -> list[bytes]:
    length = ("Content-Length", str(len(answer.body)))
    phrase = HTTPStatus(answer.status).phrase
    start_response(f"{answer.status} {phrase}", [*answer.headers.items(), length])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]
