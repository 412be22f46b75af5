"""The Socket.IO events: connect, logout, refresh, disconnect.

The order while connecting is the heart of it: the socket is taken in first, so that a logout finds
it; then the store is asked, once, whether the session is alive; then CONNECT is answered. A logout
before the question is in the answer, and one after it finds the socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

import msgspec
import structlog
from aiohttp import web
from socketio.exceptions import ConnectionRefusedError as Refused

from hub.access.audit import Audit
from hub.access.authority import Authority, Caller
from hub.access.client import read_client, read_cookie, refuse_query_token
from hub.access.limits import Limiter, Limits, Refusals, address_key
from hub.access.logouts import Logouts
from hub.access.requests import LogoutRequest, convert_request, new_id, own_logout
from hub.core.address import Network
from hub.core.model import SECOND, Identity, Logout, Micros, Reason, Scope, UserKey, seconds
from hub.core.rate import Rate
from hub.core.revocation import alive_until
from hub.core.wire import describe_logout, describe_receipt
from hub.errors import (
    Forbidden,
    HubError,
    InvalidRequest,
    LoginRequired,
    NotFound,
    OriginNotAllowed,
    RateLimited,
    TokenInvalid,
    TokenMissing,
    TokenRevoked,
    Unauthorized,
    Unavailable,
)
from hub.metrics import Metrics
from hub.protocol.frames import POLICY
from hub.realtime.connections import Connection, Connections
from hub.realtime.delivery import Delivery
from hub.realtime.presence import Presences
from hub.realtime.server import Server
from hub.realtime.wheel import Alarm

log = structlog.get_logger(__name__)

MOST_EVENTS_AT_ONCE = 8
RETRY_AFTER = 10.0


class ConnectAuth(msgspec.Struct):
    """The ``auth`` of CONNECT. Members that the hub does not know are the app's business."""

    token: str | None = None
    device: Annotated[str, msgspec.Meta(max_length=256)] | None = None


class RefreshRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The payload of ``refresh``."""

    token: Annotated[str, msgspec.Meta(min_length=1)]


class Admission(msgspec.Struct, frozen=True):
    """By what a socket may be accepted: cookie, allowed origins, trusted proxies, how many."""

    cookie_name: str | None
    allowed_origins: tuple[str, ...]
    trusted: tuple[Network, ...]
    most_of_session: int
    most_of_user: int


class Sockets:
    """Handles the events of all sockets of this replica."""

    def __init__(
        self,
        server: Server,
        authority: Authority,
        logouts: Logouts,
        connections: Connections,
        delivery: Delivery,
        presences: Presences,
        admission: Admission,
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
        self._server = server
        self._wheel = server.eio.wheel
        self._limits = limits
        self._refusals = refusals
        self._events = Limiter("events", events, refusals)
        server.on("connect", self._on_connect)
        server.on_gone = self._on_gone
        server.on("logout", self._answering(self._logout))
        server.on("refresh", self._answering(self._refresh))
        server.on("*", self._on_unknown)

    async def _on_connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        try:
            await self._enter(sid, environ["aiohttp.request"], auth)
        except HubError as error:
            refusal = self._count_refusal(sid, error)
        except (Exception, asyncio.CancelledError):
            log.exception("a socket could not be accepted")
            refusal = Unavailable("the hub failed")
        else:
            self._metrics.connects.labels("ok").inc()
            self._metrics.sockets.inc()
            connection = self._connections.get(sid)
            if connection is not None:
                self._server.pending.accepted(address_key(connection.client.ip))
            return
        self._forget(sid)
        self._metrics.connects.labels(refusal.code).inc()
        raise Refused(refusal.code, describe_refusal(refusal))

    def _count_refusal(self, sid: str, error: HubError) -> HubError:
        """Return what a socket is refused with: who guesses too often is told to wait.

        As over HTTP, a token that was once good is no guess, and a good one is not counted.
        """
        if isinstance(error, Unauthorized | Forbidden | OriginNotAllowed):
            self._audit.refused(error.code, self._server.source(sid))
        if not isinstance(error, TokenMissing | TokenInvalid | InvalidRequest):
            return error
        try:
            self._limits.refused.take(self._server.source(sid))
        except RateLimited as limited:
            return limited
        return error

    def _count_sockets(self, identity: Identity) -> None:
        of_session, of_user = self._connections.count(identity)
        if of_session >= self._admission.most_of_session:
            self._refusals.note("sockets_session", identity.user)
            raise RateLimited("too many sockets of the session", retry_after=RETRY_AFTER)
        if of_user >= self._admission.most_of_user:
            self._refusals.note("sockets_user", identity.user)
            raise RateLimited("too many sockets of the user", retry_after=RETRY_AFTER)

    async def _enter(self, sid: str, request: web.Request, auth: Any) -> None:
        given = convert_request(ConnectAuth, {} if auth is None else auth)
        identity = await self._authority.identify(self._credential(request, given))
        if not self._is_served(identity.user):
            raise Unavailable("logouts of this user are not heard now")
        self._count_sockets(identity)
        presence = self._presences.arrive()
        trusted = self._admission.trusted
        client = read_client(request.headers, request.remote, trusted, given.device)
        connection = Connection(sid, identity, client)
        self._connections.add(connection)
        caller = await self._authority.register(identity, client, presence)
        self._confirm(connection, caller)
        connection.accepted = True
        told = {"session": identity.sid, "user": identity.sub, "expires_in": _remaining(caller)}
        self._server.welcome(sid, told)

    def _confirm(self, connection: Connection, caller: Caller) -> None:
        # A logout that was heard meanwhile is newer than the store's answer, or was in it.
        alive_at = alive_until(caller.standing)
        if connection.ended is not None and connection.ended.at > alive_at:
            raise TokenRevoked(logout=connection.ended)
        connection.ended = None
        connection.alive_at = alive_at
        connection.identity = caller.identity
        self._expire_in_time(connection, caller)

    def _credential(self, request: web.Request, given: ConnectAuth) -> str:
        refuse_query_token(request.query)
        if given.token:
            return given.token
        name = self._admission.cookie_name
        cookie = read_cookie(request.headers, name) if name else None
        if not cookie:
            raise TokenMissing()
        # Browsers send no Origin with a GET to their own site, which is how polling begins.
        is_own = "Origin" not in request.headers and (
            request.headers.get("Sec-Fetch-Site") == "same-origin"
        )
        origin = request.headers.get("Origin", "").lower()
        if not is_own and origin not in self._admission.allowed_origins:
            raise OriginNotAllowed(request.headers.get("Origin"))
        return cookie

    def _on_gone(self, sid: str) -> None:
        connection = self._forget(sid)
        if connection is not None and connection.accepted:
            self._metrics.sockets.dec()
            self._server.pending.left(address_key(connection.client.ip))

    def _forget(self, sid: str) -> Connection | None:
        connection = self._connections.remove(sid)
        if connection is not None:
            self._presences.leave(connection)
            if connection.expiry is not None:
                self._wheel.drop(connection.expiry)
        return connection

    def _expire_in_time(self, connection: Connection, caller: Caller) -> None:
        if connection.expiry is not None:
            self._wheel.drop(connection.expiry)
        connection.expiry = Alarm(partial(self._expire, connection, caller.until))
        self._wheel.put(connection.expiry, _remaining(caller))

    def _expire(self, connection: Connection, at: Micros) -> None:
        if connection.ended is None:
            self._delivery.end([connection], _expiry(connection.identity, at))

    def _answering(
        self, handle: Callable[[Connection, Any], Awaitable[dict[str, Any]]]
    ) -> Callable[..., Awaitable[dict[str, Any]]]:
        async def answer(sid: str, *args: Any) -> dict[str, Any]:
            try:
                connection = self._obey(sid, args)
                task = asyncio.current_task()
                assert task is not None
                connection.busy.add(task)
                task.add_done_callback(connection.busy.discard)
                return {"ok": True, **await handle(connection, args[0] if args else {})}
            except HubError as error:
                return describe_failure(error)
            except Exception:
                log.exception("an event could not be handled")
                return describe_failure(Unavailable("the hub failed"))

        return answer

    def _obey(self, sid: str, args: tuple[Any, ...]) -> Connection:
        connection = self._connections.get(sid)
        if connection is None or not connection.accepted:
            raise TokenMissing("not connected")
        if connection.ended is not None:
            raise TokenRevoked(logout=connection.ended)
        self._count_event(connection)
        if len(args) > 1:
            raise InvalidRequest("the event takes one object")
        if len(connection.busy) >= MOST_EVENTS_AT_ONCE:
            raise RateLimited("too many events at once")
        return connection

    def _count_event(self, connection: Connection) -> None:
        try:
            self._events.take(connection.sid, connection.identity.user)
        except RateLimited:
            # Answered, and then closed: who goes on connects anew.
            end = partial(self._server.eio.end, connection.sid, POLICY)
            asyncio.get_running_loop().call_soon(end)
            raise

    async def _logout(self, connection: Connection, data: Any) -> dict[str, Any]:
        request = convert_request(LogoutRequest, {} if data is None else data)
        # A replica that hears late must not let a session act which another replica has ended.
        command = own_logout(connection.identity, request)
        receipt = await self._logouts.write_own(connection.identity, command, connection.client.ip)
        return describe_receipt(receipt)

    async def _refresh(self, connection: Connection, data: Any) -> dict[str, Any]:
        request = convert_request(RefreshRequest, data)
        try:
            fresh = await self._authority.identify(request.token)
        except Unauthorized as error:
            raise self._count_refusal(connection.sid, error) from None
        # One after the other: each goes on from the session that the one before moved to.
        async with connection.refreshing:
            caller = await self._go_on(connection, fresh)
        return {"expires_at": seconds(caller.until), "expires_in": _remaining(caller)}

    async def _go_on(self, connection: Connection, fresh: Identity) -> Caller:
        old = connection.identity
        moves = fresh.sid != old.sid
        if fresh.user != old.user or (moves and not (fresh.per_token and old.per_token)):
            raise Forbidden("the token is of another user or session")
        # Where tokens name no login, the next one is of another session on the same device.
        presence = self._presences.arrive() if moves else None
        is_last = self._connections.count(old)[0] == 1
        # As while connecting: logouts of the new session find the socket before the store is asked.
        connection.coming = fresh
        try:
            caller = await self._authority.register(
                fresh, connection.client, presence, old.sid if moves and is_last else None
            )
            if connection.ended is not None:
                raise TokenRevoked(logout=connection.ended)
            if connection.gone:
                raise Unavailable("the transport closed")
            self._connections.move(connection, fresh)
            self._confirm(connection, caller)
        finally:
            connection.coming = connection.identity
            if moves:
                for left in (old, fresh):
                    self._presences.leave_session(left)
        return caller

    async def _on_unknown(self, event: str, sid: str, *args: Any) -> dict[str, Any]:
        try:
            self._obey(sid, ())
        except HubError as error:
            return describe_failure(error)
        return describe_failure(NotFound("no such event"))


def _remaining(caller: Caller) -> float:
    """Return for how many seconds the caller's token is good, by the store's clock."""
    return max(0, caller.until - caller.standing.now) / SECOND


def _expiry(identity: Identity, at: Micros) -> Logout:
    return Logout(
        id=new_id(),
        user=identity.user,
        scope=Scope.SESSION,
        reason=Reason.EXPIRED,
        sid=identity.sid,
        at=at,
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
        data["logout"] = describe_logout(error.logout)
    if isinstance(error, LoginRequired):
        data["reauthenticate"] = True
        data["logout"]["reauthenticate"] = True
    return data


def describe_failure(error: HubError) -> dict[str, Any]:
    """Return the acknowledgement of an event that was refused."""
    told = {"code": error.code, "title": error.title}
    return {"ok": False, "error": {**told, "detail": error.detail} if error.detail else told}
