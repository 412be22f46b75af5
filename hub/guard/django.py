"""Guards Django's own sessions (``django.contrib.auth``), and reports their logouts to the hub.

Add ``hub.guard.django.GuardMiddleware`` to ``MIDDLEWARE`` after ``AuthenticationMiddleware``, and
to the settings::

    HUB_GUARD = {"url": "https://hub.example", "token": ..., "secret": ..., "admin_token": ...}

These four, and the other arguments of `hub.guard.SyncGuard` (``max_staleness``, ``on_stale``, …),
configure the guard; without ``url``, the environment does (`SyncGuard.from_environ`). Optional:

``exempt``     paths where sessions are not checked: ``/health``, or ``/static/*``
``login_url``  where a browser whose session was ended is redirected; other requests get 401 with
               problem details. Without it, the request continues as an anonymous user's
``issuer``     the ``iss`` under which the hub knows the users, if it has several issuers
``user``       the attribute of the user model that is the user's name at the hub: ``pk`` by default
``adopt``      the login time (seconds since the epoch) to assume for sessions that began before the
               guard was added; without it, they are ended, since their age is unknown
``cut_streams``  end streaming responses without ``Content-Length`` with their session: ``True``

A session that the hub ended is flushed. ``django.contrib.auth.logout`` ends the session at the hub;
if that fails, it is retried for a while in the background.
"""

from __future__ import annotations

import functools
import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib import auth
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from hub.core.model import Identity
from hub.errors import HubError, TokenExpired, TokenMissing, Unauthorized
from hub.guard import SyncGuard, own_logout
from hub.guard.django_streams import cut_with_session
from hub.guard.own_logout import Ended
from hub.guard.refusals import Answer, Gate, RequestSummary, explain

log = logging.getLogger(__name__)

LOGIN = "hub_login"
"""The key in a Django session under which its login is stored."""

OWN_OPTIONS = ("exempt", "login_url", "issuer", "user", "adopt", "cut_streams")
PAUSES = (1.0, 4.0, 16.0, 60.0)
"""Seconds between the attempts to end a session at a hub that does not answer."""

MAX_RETRIES = 100
"""How many logouts are retried at the same time; any more are only logged."""

_retries = threading.BoundedSemaphore(MAX_RETRIES)


def options() -> dict[str, Any]:
    """Return the setting ``HUB_GUARD``.

    Raises:
        ImproperlyConfigured: when there is none.
    """
    given: dict[str, Any] | None = getattr(settings, "HUB_GUARD", None)
    if given is None:
        raise ImproperlyConfigured("HUB_GUARD is missing: see hub.guard.django")
    return given


@functools.cache
def get_guard() -> SyncGuard:
    """Return the guard of this process; the first call starts it."""
    given = {name: value for name, value in options().items() if name not in OWN_OPTIONS}
    guard = SyncGuard(**given) if "url" in given else SyncGuard.from_environ(**given)
    guard.start()
    return guard


class GuardMiddleware:
    """Ends a Django session when the hub has ended it; synchronous and asynchronous.

    ``request.hub_identity`` is the `Identity` of a request of a living session, otherwise None.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        given = options()
        self._cut_streams = given.get("cut_streams", True)
        self._gate = Gate(exempt=given.get("exempt", ()), login_url=given.get("login_url"))
        connect_signals()
        get_guard()

    def __call__(self, request: HttpRequest) -> Any:
        """Answer a request."""
        request.hub_identity = None
        # It stays the current one: a stream of the app may go on when this has returned.
        request.hub_ended = Ended()
        own_logout.current.set(request.hub_ended)
        is_anonymous = request.session.session_key is None  # whatever the session backend
        if self._is_async:
            return self._answer(request, is_anonymous)
        refusal = None if is_anonymous else self._judge(request)
        return refusal or self._watch(request, self._get_response(request))

    async def _answer(self, request: HttpRequest, is_anonymous: bool) -> Any:
        # Not on the loop: it reads the session from a database, and may have to ask the hub.
        refusal = None if is_anonymous else await sync_to_async(self._judge)(request)
        return refusal or self._watch(request, await self._get_response(request))

    def _watch(self, request: HttpRequest, response: Any) -> Any:
        """Return the response of a view; if it is a stream, it ends with the session."""
        identity = request.hub_identity
        if identity is not None and self._cut_streams:
            cut_with_session(get_guard(), identity, request.hub_ended, response)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer when a view raises an error of the guard, as a login does without a hub."""
        return _respond(explain(error)) if isinstance(error, HubError) else None

    def _judge(self, request: HttpRequest) -> HttpResponse | None:
        """Return the refusal of a request, or None if it is admitted."""
        if self._gate.is_exempt(request.path):
            return None
        try:
            request.hub_identity = identify(request)
        except Unauthorized as error:
            if not error.retryable:
                forget(request)
                if options().get("login_url") is None:
                    return None
            return _respond(self._gate.refuse(error, _summarize(request)))
        except HubError as error:
            return _respond(self._gate.refuse(error, _summarize(request)))
        return None


def identify(request: HttpRequest) -> Identity | None:
    """Return the identity of a request's session, or None if nobody is logged in.

    Raises:
        HubError: when the session is not alive, or cannot be checked.
    """
    if auth.SESSION_KEY not in request.session or not request.user.is_authenticated:
        return None  # also if Django finds that the user was deleted, or the password changed
    login = request.session.get(LOGIN)
    if login is None:
        login = request.session[LOGIN] = _adopt(request)
    return get_guard().check_session(
        login["user"], login["sid"], login["at"], issuer=options().get("issuer")
    )


def forget(request: HttpRequest) -> None:
    """Log a person out of Django after the hub has ended the session."""
    request.session.pop(LOGIN, None)  # so that the logout's signal is not sent to the hub
    auth.logout(request)
    nobody = request.user

    async def find_nobody() -> Any:
        return nobody

    # Django caches the user that an earlier middleware asked for.
    request.auser = find_nobody


def mint_ticket(request: HttpRequest) -> str:
    """Return a token with which a page connects to the hub: for its session, valid for minutes.

    Raises:
        TokenMissing: when nobody is logged in.
    """
    login = request.session.get(LOGIN)
    if login is None or not request.user.is_authenticated:
        raise TokenMissing()
    return get_guard().mint_ticket(
        login["user"], login["sid"], login_time=login["at"], issuer=options().get("issuer")
    )


def send_ticket(request: HttpRequest) -> HttpResponse:
    """Return `mint_ticket`'s token in a response: a view for the browser client.

    In a page: ``token: () => fetch("/hub-ticket").then((answer) => answer.text())``.
    """
    try:
        ticket = mint_ticket(request)
    except HubError as error:
        return _respond(explain(error))
    headers = {"Cache-Control": "no-store"}
    return HttpResponse(ticket, content_type="text/plain; charset=utf-8", headers=headers)


def connect_signals() -> None:
    """Record logins in the session, and report logouts to the hub; the middleware calls this."""
    user_logged_in.connect(_note_login, dispatch_uid="hub.guard.login")
    user_logged_out.connect(_end_login, dispatch_uid="hub.guard.logout")


def _note_login(sender: Any, request: HttpRequest, user: Any, **_: Any) -> None:
    request.session[LOGIN] = {
        "user": _name(user),
        "sid": secrets.token_urlsafe(16),
        "at": get_guard().now(),
    }


def _end_login(sender: Any, request: HttpRequest, user: Any, **_: Any) -> None:
    login = request.session.get(LOGIN)
    if login is not None and not _end_session(login):
        if _retries.acquire(blocking=False):
            threading.Thread(target=_end_later, args=(login,), daemon=True).start()
        else:
            log.error("a logout of %s was not sent to the hub", login["user"])


def _end_session(login: dict[str, Any]) -> bool:
    """Return whether the hub has ended a session."""
    try:
        get_guard().end_session(login["user"], login["sid"], issuer=options().get("issuer"))
    except HubError as error:
        log.warning("a logout of %s was not sent to the hub: %s", login["user"], error)
        return False
    return True


def _end_later(login: dict[str, Any]) -> None:
    try:
        for pause in PAUSES:
            time.sleep(pause)
            if _end_session(login):
                return
        log.error("giving up: the session of %s is still alive at the hub", login["user"])
    finally:
        _retries.release()


def _adopt(request: HttpRequest) -> dict[str, Any]:
    """Return the login of a session that is older than the guard."""
    since = options().get("adopt")
    if since is None:
        raise TokenExpired("the session began before the guard was added")
    key = request.session.session_key or ""
    sid = salted_hmac("hub.guard", key, algorithm="sha256").hexdigest()
    return {"user": _name(request.user), "sid": sid, "at": since}


def _name(user: Any) -> str:
    return str(getattr(user, options().get("user", "pk")))


def _summarize(request: HttpRequest) -> RequestSummary:
    headers = request.headers
    return RequestSummary(
        method=request.method,
        path=request.path,
        query=request.META.get("QUERY_STRING", ""),
        accept=headers.get("Accept", ""),
        fetch_mode=headers.get("Sec-Fetch-Mode", ""),
    )


def _respond(answer: Answer) -> HttpResponse:
    return HttpResponse(answer.body, status=answer.status, headers=answer.headers)
