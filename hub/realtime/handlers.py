"""The application of the Socket.IO server: connect, logout, refresh, disconnect.

The order of steps while connecting is essential: first the connection is added, so that a logout
finds it; then the store is asked, once, whether the session is alive; then CONNECT is answered. A
logout that was written before the store was asked is in its answer, and a later one finds the
connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import msgspec
import structlog

from hub.access.audit import Audit
from hub.access.authority import Authority, Caller
from hub.access.client import read_cookie, refuse_query_token
from hub.access.keys import KeyUncertain
from hub.access.limits import GUESSES, Limiter, Limits, Refusals
from hub.access.logouts import Logouts
from hub.access.requests import LogoutRequest, convert_request, new_id, own_logout
from hub.access.views import as_payload, view_logout, view_receipt
from hub.core.model import SECOND, Identity, Logout, Reason, Scope, UserKey, seconds
from hub.core.rate import Rate
from hub.core.revocation import alive_until
from hub.errors import (
    Forbidden,
    HubError,
    InvalidRequest,
    LoginRequired,
    NotFound,
    OriginNotAllowed,
    RateLimited,
    TokenMissing,
    TokenRevoked,
    Unauthorized,
    Unavailable,
)
from hub.metrics import Metrics
from hub.realtime.connections import Connection, Connections
from hub.realtime.delivery import Delivery
from hub.realtime.engine import Opening
from hub.realtime.presence import Presences
from hub.realtime.server import ConnectRefused, Socket
from hub.realtime.timer_wheel import TimerWheel

log = structlog.get_logger(__name__)

MAX_EVENTS_AT_ONCE = 8
RETRY_AFTER = 10.0


class ConnectAuth(msgspec.Struct):
    """The ``auth`` of CONNECT; other members are ignored, since the app may have its own."""

    token: str | None = None
    device: Annotated[str, msgspec.Meta(max_length=256)] | None = None


class RefreshRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The payload of ``refresh``."""

    token: Annotated[str, msgspec.Meta(min_length=1)]


class Admission(msgspec.Struct, frozen=True):
    """Settings for accepting sockets: the cookie, its allowed origins, and how many sockets."""

    cookie_name: str | None
    allowed_origins: tuple[str, ...]
    max_per_session: int
    max_per_user: int


class Handlers:
    """The `hub.realtime.server.Application` of this replica."""

    def __init__(
        self,
        authority: Authority,
        logouts: Logouts,
        connections: Connections,
        delivery: Delivery,
        presences: Presences,
        admission: Admission,
        timers: TimerWheel,
        metrics: Metrics,
        limits: Limits,
        refusals: Refusals,
        events: Rate | None,
        audit: Audit,
        is_served: Callable[[UserKey], bool],
    ) -> None:
        self._is_served = is_served
        self._audit = audit
        self._authority = authority
        self._logouts = logouts
        self._connections = connections
        self._delivery = delivery
        self._presences = presences
        self._admission = admission
        self._metrics = metrics
        metrics.sockets.set_function(connections.count_accepted)
        self._timers = timers
        self._on_expired = self._expire
        """One bound method for all sockets."""
        self._limits = limits
        self._refusals = refusals
        self._events = Limiter("events", events, refusals)
        self._handlers: dict[str, Callable[[Connection, Any], Coroutine[Any, Any, Any]]] = {
            "logout": self._logout,
            "refresh": self._refresh,
        }

    async def connect(self, socket: Socket, auth: Any) -> dict[str, Any]:
        """Accept a socket, and return the data about its session for the answer to CONNECT.

        Raises:
            ConnectRefused: if it is not accepted, also because of an unexpected error.
        """
        try:
            answer = await self._connect(socket, auth)
        except HubError as error:
            # Its traceback leads here, which would be a reference cycle.
            refusal = self._charge_refusal(socket, error).with_traceback(None)
        except (Exception, asyncio.CancelledError):
            log.exception("a socket could not be accepted")
            refusal = Unavailable("the hub failed")
        else:
            self._metrics.connects.inc("ok")
            return answer
        self._forget(socket.id)
        self._metrics.connects.inc(refusal.code)
        raise ConnectRefused(refusal.code, describe_refusal(refusal))

    def _charge_refusal(self, socket: Socket, error: HubError) -> HubError:
        """Charge the address for a refusal, and return the answer: RateLimited after too many.

        Only attempts that may be guesses count: no token, one that was never valid or cannot be
        told from such, or a malformed CONNECT.
        """
        if isinstance(error, Unauthorized | Forbidden | OriginNotAllowed):
            self._audit.refused(error.code, socket.source)
        if not isinstance(error, (*GUESSES, InvalidRequest)):
            return error
        try:
            self._limits.refused.take(socket.source)
        except RateLimited as limited:
            return limited
        return error

    def _check_socket_limits(self, identity: Identity) -> None:
        of_session, of_user = self._connections.count(identity)
        if of_session >= self._admission.max_per_session:
            self._refusals.note("sockets_session", identity.user)
            raise RateLimited("too many sockets of the session", retry_after=RETRY_AFTER)
        if of_user >= self._admission.max_per_user:
            self._refusals.note("sockets_user", identity.user)
            raise RateLimited("too many sockets of the user", retry_after=RETRY_AFTER)

    async def _connect(self, socket: Socket, auth: Any) -> dict[str, Any]:
        opening = socket.opening
        assert opening is not None
        given = convert_request(ConnectAuth, {} if auth is None else auth)
        identity = await self._authority.identify(self._credential(opening, given))
        if not self._is_served(identity.user):
            raise Unavailable("logouts of this user are not received now")
        self._check_socket_limits(identity)
        presence = self._presences.new_presence()
        client = msgspec.structs.replace(socket.client, name=given.device)
        connection = Connection(socket, identity, client)
        self._connections.add(connection)
        caller = await self._authority.register(identity, client, presence)
        self._confirm(connection, caller)
        connection.accepted = True
        return {"session": identity.sid, "user": identity.sub, "expires_in": _remaining(caller)}

    def _confirm(self, connection: Connection, caller: Caller) -> None:
        # A logout that was received meanwhile is newer than the store's answer, or included in it.
        alive_at = alive_until(caller.state)
        if connection.ended is not None and connection.ended.at > alive_at:
            raise TokenRevoked(logout=connection.ended)
        connection.ended = None
        connection.alive_at = alive_at
        connection.identity = caller.identity
        connection.on_expired = self._on_expired
        self._timers.start(connection, _remaining(caller))

    def _credential(self, opening: Opening, given: ConnectAuth) -> str:
        refuse_query_token(opening.query)
        if given.token:
            return given.token
        name = self._admission.cookie_name
        cookie = read_cookie(opening.headers, name) if name else None
        if not cookie:
            raise TokenMissing()
        # Polling begins with a GET, and browsers send no Origin with a same-origin GET.
        origin = opening.headers.get("Origin")
        is_own = origin is None and opening.headers.get("Sec-Fetch-Site") == "same-origin"
        if not is_own and (origin or "").lower() not in self._admission.allowed_origins:
            raise OriginNotAllowed(origin)
        return cookie

    def disconnected(self, socket: Socket) -> None:
        """Remove a socket that has closed."""
        self._forget(socket.id)

    def _forget(self, connection_id: str) -> None:
        connection = self._connections.remove(connection_id)
        if connection is not None:
            self._presences.remove(connection)
            self._timers.stop(connection)

    def _expire(self, connection: Connection) -> None:
        if connection.ended is None:
            self._delivery.end([connection], _expiry(connection.identity))

    async def answer(self, socket: Socket, event: str, args: list[Any]) -> dict[str, Any]:
        """Return the acknowledgement of an event."""
        try:
            connection = self._admit_event(socket, args)
            handle = self._handlers.get(event)
            if handle is None:
                raise NotFound("no such event")
            task = asyncio.current_task()
            assert task is not None
            connection.answering.add(task)
            task.add_done_callback(connection.answering.discard)
            return {"ok": True, **await handle(connection, args[0] if args else {})}
        except HubError as error:
            return describe_failure(error.with_traceback(None))  # as in `connect`
        except Exception:
            log.exception("an event could not be handled")
            return describe_failure(Unavailable("the hub failed"))

    def _admit_event(self, socket: Socket, args: list[Any]) -> Connection:
        connection = self._connections.get(socket.id)
        if connection is None or not connection.accepted:
            raise TokenMissing("not connected")
        if connection.ended is not None:
            raise TokenRevoked(logout=connection.ended)
        try:
            self._events.take(socket.id, connection.identity.user)
        except RateLimited:
            # The error is answered before the close; the client may connect again.
            socket.close_for_policy()
            raise
        if len(args) > 1:
            raise InvalidRequest("the event takes one object")
        if len(connection.answering) >= MAX_EVENTS_AT_ONCE:
            raise RateLimited("too many events at once")
        return connection

    async def _logout(self, connection: Connection, data: Any) -> dict[str, Any]:
        request = convert_request(LogoutRequest, {} if data is None else data)
        command = own_logout(connection.identity, request)
        # The store checks that the session is alive: a logout written elsewhere may not have
        # arrived here yet.
        receipt = await self._logouts.write_own(
            connection.identity, command, connection.client.ip, at_once=True
        )
        return as_payload(view_receipt(receipt))

    async def _refresh(self, connection: Connection, data: Any) -> dict[str, Any]:
        request = convert_request(RefreshRequest, data)
        try:
            fresh = await self._authority.identify(request.token)
        except (Unauthorized, KeyUncertain) as error:
            raise self._charge_refusal(connection.socket, error) from None
        # One at a time: each continues the session that the previous one moved to.
        async with connection.refresh_lock:
            caller = await self._continue_as(connection, fresh)
        return {"expires_at": seconds(caller.until), "expires_in": _remaining(caller)}

    async def _continue_as(self, connection: Connection, fresh: Identity) -> Caller:
        old = connection.identity
        moves = fresh.sid != old.sid
        if fresh.user != old.user or (moves and not (fresh.per_token and old.per_token)):
            raise Forbidden("the token is of another user or session")
        # If tokens do not identify the login, each has its own session on the same device.
        presence = self._presences.new_presence() if moves else None
        is_last = self._connections.count(old)[0] == 1
        # As while connecting: first make the socket findable for logouts, then ask the store.
        connection.next_identity = fresh
        try:
            caller = await self._authority.register(
                fresh, connection.client, presence, old.sid if moves and is_last else None
            )
            if connection.ended is not None:
                raise TokenRevoked(logout=connection.ended)
            if connection.is_closed:
                raise Unavailable("the transport closed")
            self._connections.move(connection, fresh)
            self._confirm(connection, caller)
        finally:
            connection.next_identity = connection.identity
            if moves:
                for left in (old, fresh):
                    self._presences.remove_session(left)
        return caller


def _remaining(caller: Caller) -> float:
    """Return for how many seconds the caller's token is valid, by the store's clock."""
    return max(0, caller.until - caller.state.now) / SECOND


def _expiry(identity: Identity) -> Logout:
    return Logout(
        id=new_id(),
        user=identity.user,
        scope=Scope.SESSION,
        reason=Reason.EXPIRED,
        sid=identity.sid,
        at=identity.valid_until,
    )


def describe_refusal(error: HubError) -> dict[str, Any]:
    """Return the ``data`` of CONNECT_ERROR."""
    data: dict[str, Any] = {
        "code": error.code,
        "title": error.title,
        "retryable": error.retryable,
    }
    if error.detail:
        data["detail"] = error.detail
    if error.retry_after is not None:
        data["retry_after"] = round(error.retry_after, 3)
    if error.logout is not None:
        data["logout"] = as_payload(view_logout(error.logout))
    if isinstance(error, LoginRequired):
        data["reauthenticate"] = True
        data["logout"]["reauthenticate"] = True
    return data


def describe_failure(error: HubError) -> dict[str, Any]:
    """Return the acknowledgement of an event that was refused."""
    body = {"code": error.code, "title": error.title}
    return {"ok": False, "error": {**body, "detail": error.detail} if error.detail else body}
