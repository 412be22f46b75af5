"""The WSGI middleware, as a server calls it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, cast
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from hub.errors import Unavailable
from hub.guard import SyncGuard
from hub.guard.wsgi import GuardMiddleware
from tests.guard.pretended import PretendedSyncGuard

ADA = {"HTTP_AUTHORIZATION": "Bearer ada/s"}
Environ = dict[str, Any]


@pytest.fixture
def guard() -> PretendedSyncGuard:
    """A guard that accepts everybody."""
    return PretendedSyncGuard()


def guarded(app: Any, guard: PretendedSyncGuard, **options: Any) -> GuardMiddleware:
    """Return an app with the middleware."""
    return GuardMiddleware(app, cast(SyncGuard, guard), **options)


class App:
    """An app that answers with who asks, in one part or in several."""

    def __init__(self, *, length: bool = True, parts: Iterable[bytes] = (b"hi",)) -> None:
        self.environs: list[Environ] = []
        self.closed = 0
        self._length = length
        self._parts = parts

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer."""
        self.environs.append(environ)
        headers = [("Content-Type", "text/plain")]
        headers += [("Content-Length", "2")] if self._length else []
        start_response("200 OK", headers)
        return self

    def __iter__(self) -> Iterator[bytes]:
        """Return the parts."""
        return iter(self._parts)

    def close(self) -> None:
        """Count that the server is done."""
        self.closed += 1


class Answered:
    """An answer whose parts are read one by one."""

    def __init__(self, app: Any, path: str = "/", **environ: Any) -> None:
        given: Environ = {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "", **environ}
        setup_testing_defaults(given)
        self.status, self.headers = 0, {"": ""}
        self.all = validator(app)(given, self._start)
        self.parts = iter(self.all)

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self.status, self.headers = int(status.split()[0]), dict(headers)
        return lambda data: None

    def close(self) -> None:
        """Tell the app that its parts are not needed any more."""
        self.all.close()  # type: ignore[attr-defined]

    def read(self) -> bytes:
        """Read the rest and close."""
        try:
            return b"".join(self.parts)
        finally:
            self.close()

    @property
    def code(self) -> str:
        """The code of a problem."""
        assert self.headers["Content-Type"] == "application/problem+json"
        return str(json.loads(self.read())["code"])


def test_a_living_session_comes_through_with_its_identity(guard: PretendedSyncGuard) -> None:
    """In the environ, where any framework finds it; the app's own answer is not touched."""
    app = App()
    answered = Answered(guarded(app, guard), **ADA)
    assert (answered.status, answered.read(), app.closed) == (200, b"hi", 1)
    assert app.environs[0]["hub.identity"].sub == "ada"
    assert guard.watches == []


def test_a_dead_session_is_refused(guard: PretendedSyncGuard) -> None:
    """With the hub's code and challenge, and the app is not asked; HEAD has no body."""
    guard.end("s")
    app = App()
    answered = Answered(guarded(app, guard), **ADA)
    assert (answered.status, answered.code) == (401, "token_revoked")
    assert answered.headers["WWW-Authenticate"].startswith("Bearer")
    assert Answered(guarded(app, guard), REQUEST_METHOD="HEAD", **ADA).read() == b""
    assert app.environs == []


def test_whom_it_asks_for_nothing(guard: PretendedSyncGuard) -> None:
    """Exempt paths below the app's mount point, preflights, and anonymous ones where they may."""
    app = App()
    site = guarded(app, guard, exempt=("/app/health",))
    preflight = {"REQUEST_METHOD": "OPTIONS", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PUT"}
    answers = [
        Answered(site, "/health", SCRIPT_NAME="/app"),
        Answered(site, **preflight),
        Answered(guarded(app, guard, require=False)),
    ]
    assert [(answered.status, answered.read()) for answered in answers] == [(200, b"hi")] * 3
    assert app.environs[2]["hub.identity"] is None
    refused = Answered(site, "/health")
    assert (refused.status, refused.code) == (401, "token_missing")


def test_a_browser_is_sent_to_the_login_with_the_address_it_wanted(
    guard: PretendedSyncGuard,
) -> None:
    """Whatever bytes are in it."""
    app = guarded(App(), guard, login_url="/login")
    answered = Answered(
        app, "/ä".encode().decode("latin-1"), QUERY_STRING="a=\xff", HTTP_ACCEPT="text/html"
    )
    assert answered.read() == b""
    assert answered.status == 303
    assert answered.headers["Location"] == "/login?next=%2F%25C3%25A4%3Fa%3D%25FF"


def test_a_session_of_the_apps_own_is_judged(guard: PretendedSyncGuard) -> None:
    """A function of the environ says whose it is; an unavailable hub is told as such."""
    app = guarded(App(), guard, session=lambda environ: ("ada", environ["sid"], 5.0))
    guard.end("dead")
    assert Answered(app, sid="alive").read() == b"hi"
    assert Answered(app, sid="dead").code == "token_revoked"
    guard.failure = Unavailable()
    refused = Answered(app, sid="alive")
    assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
    assert refused.code == "unavailable"


def test_a_cookie_is_not_for_other_sites(guard: PretendedSyncGuard) -> None:
    """They may not send anything with it."""
    app = guarded(App(), guard, cookie="s")
    given = {"HTTP_COOKIE": "s=ada/s", "REQUEST_METHOD": "POST", "HTTP_HOST": "a"}
    assert Answered(app, **given, HTTP_ORIGIN="https://a").read() == b"hi"
    assert Answered(app, **given, HTTP_ORIGIN="https://b").code == "origin_not_allowed"


def test_a_stream_ends_with_its_session(guard: PretendedSyncGuard) -> None:
    """Not even the part that the app was waiting for is sent; the app is closed by the server."""

    def parts() -> Iterator[bytes]:
        yield b"one"
        guard.end("s")
        yield b"two"

    app = App(length=False, parts=parts())
    answered = Answered(guarded(app, guard), **ADA)
    assert guard.watches == [], "a response may be dropped before it is read"
    assert (answered.read(), app.closed) == (b"one", 1)
    assert guard.watches == []


def test_a_stream_that_is_not_closed_is_not_watched_for_ever(guard: PretendedSyncGuard) -> None:
    """Not if it fails in the middle, nor if the server drops it, below one layer or two."""

    def parts() -> Iterator[bytes]:
        yield b"one"
        raise ValueError("the database went away")

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return parts()

    once = guarded(app, guard)
    twice = guarded(once, guard, session=lambda _: ("eve", "t", 5.0))
    for site, layers in ((once, 1), (twice, 2)):
        environ: Environ = dict(ADA)
        setup_testing_defaults(environ)
        failing = iter(site(environ, lambda *_: None))
        assert next(failing) == b"one"
        assert len(guard.watches) == layers
        with pytest.raises(ValueError, match="database"):
            next(failing)
        assert guard.watches == []
        dropped = iter(site(dict(environ), lambda *_: None))
        assert next(dropped) == b"one"
        del environ["hub.identity"]
        del dropped
        assert guard.watches == []


def test_what_states_its_length_late_is_finished(guard: PretendedSyncGuard) -> None:
    """As an app does that is a generator: it begins when its first part is asked for."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
        yield b"one"
        guard.end("s")
        yield b"two"

    assert Answered(guarded(app, guard), **ADA).read() == b"onetwo"


def test_a_stream_that_answers_its_own_logout_is_finished(guard: PretendedSyncGuard) -> None:
    """Whether it logs out before its first part, or later; also below two layers."""

    def parts(sid: str) -> Iterator[bytes]:
        yield b"one"
        guard.end_session("ada", sid)
        yield b"two"

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        guard.end_session("ada", "s")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([b"one", b"two"])

    assert Answered(guarded(app, guard), **ADA).read() == b"onetwo"
    guard.ended.clear()
    late = App(length=False, parts=parts("s"))
    inner = guarded(late, guard, session=lambda _: ("eve", "t", 5.0))
    assert Answered(guarded(inner, guard), **ADA).read() == b"onetwo"
    guard.ended.clear()
    another = App(length=False, parts=parts("t"))
    answered = Answered(guarded(another, guard), **ADA)
    assert next(answered.parts) == b"one"
    guard.end("s")
    assert answered.read() == b""


def test_a_stream_is_left_alone_where_the_app_says_so(guard: PretendedSyncGuard) -> None:
    """With ``cut_streams=False``."""
    app = guarded(App(length=False), guard, cut_streams=False)
    answered = Answered(app, **ADA)
    guard.end("s")
    assert answered.read() == b"hi"


def test_sessions_and_tokens_are_both_judged_by_two_layers(guard: PretendedSyncGuard) -> None:
    """Whoever sends either comes through; who sends a dead one as well does not."""
    inner = guarded(App(), guard)

    def session(environ: Environ) -> tuple[str, str, float] | None:
        return ("eve", environ["sid"], 5.0) if "sid" in environ else None

    both = guarded(inner, guard, session=session, require=False)
    assert Answered(both, sid="t").read() == b"hi"
    assert Answered(both, **ADA).read() == b"hi"
    assert Answered(both).code == "token_missing"
    guard.end("t")
    assert Answered(both, sid="t", **ADA).code == "token_revoked"


@pytest.mark.parametrize("sid", ["s", "t"])
def test_a_stream_with_two_sessions_ends_with_either(guard: PretendedSyncGuard, sid: str) -> None:
    """That of the inner layer or of the outer."""
    inner = guarded(App(length=False, parts=iter([b"one", b"two"])), guard)
    both = guarded(inner, guard, session=lambda _: ("eve", "t", 5.0), require=False)
    answered = Answered(both, **ADA)
    assert next(answered.parts) == b"one"
    guard.end(sid)
    assert answered.read() == b""
    assert guard.watches == []
