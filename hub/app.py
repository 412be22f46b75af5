"""The only place where the parts are put together."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

import structlog
from aiohttp import web

from hub.access.administrators import Administrators
from hub.access.audit import Audit
from hub.access.authority import Authority
from hub.access.client import read_client
from hub.access.completion import Completions
from hub.access.issuers import Issuers
from hub.access.limits import Limits, Refusals, address_key
from hub.access.logouts import Logouts
from hub.access.readiness import Readiness
from hub.access.vitals import Vitals
from hub.api.connection import Runner
from hub.api.middleware import add_headers, answer_requests
from hub.api.openapi import hub_version
from hub.api.parts import PARTS, Parts
from hub.api.routes import add_routes
from hub.core.bus import derive_key
from hub.core.issuers import Entry
from hub.core.model import SECOND, Micros
from hub.core.tokens import MAX_TOKEN_BYTES
from hub.issuers_file import load_entries
from hub.metrics import Metrics
from hub.pages.demo import add_demo, suit_demo
from hub.pages.routes import add_pages
from hub.realtime.connections import Connections
from hub.realtime.delivery import Delivery
from hub.realtime.follower import Follower
from hub.realtime.pending import Pending
from hub.realtime.presence import Presences
from hub.realtime.reports import Reports
from hub.realtime.server import Server
from hub.realtime.sockets import Admission, Sockets
from hub.realtime.sweeps import Sweeper
from hub.settings import Settings, SettingsError
from hub.store.audit_stream import AuditStream
from hub.store.durability import Durability
from hub.store.memory import MemoryStore
from hub.store.redis import RedisStore

log = structlog.get_logger(__name__)

START_TIMEOUT = 2.0
TRIES = 5
KEEPALIVE = 75.0
SHUTDOWN_TIMEOUT = 3.0
MAX_HEADER = 2 * MAX_TOKEN_BYTES


RELOADS = web.AppKey("reloads", list[Callable[[], Awaitable[None]]])
"""What is done when the operator has changed a file (SIGHUP), each on its own."""


def create_store(
    settings: Settings, metrics: Metrics, entries: Sequence[Entry] = ()
) -> MemoryStore | RedisStore:
    """Return the store that the settings ask for, not yet entered."""
    log_lifetime = logout_lifetime(settings, entries)
    lifetime = max(log_lifetime, round(settings.login_max_lifetime * SECOND))
    receipts = round(settings.receipt_lifetime * SECOND)
    if settings.redis_url is None:
        return MemoryStore(
            lifetime=lifetime,
            max_sessions=settings.max_sessions,
            pace=settings.limit_logouts,
            receipts=receipts,
        )
    url = settings.redis_url.get_secret_value()
    return RedisStore(
        url,
        lifetime=lifetime,
        log_lifetime=log_lifetime,
        max_sessions=settings.max_sessions,
        durability=Durability(settings.wait_disk, settings.wait_replicas),
        bus_key=derive_key(settings.shared_secret),
        pace=settings.limit_logouts,
        receipts=receipts,
        on_forged=metrics.forged.inc,
    )


def logout_lifetime(settings: Settings, entries: Sequence[Entry]) -> Micros:
    """Return how long any token that a logout ended may live.

    The logout is remembered for longer: for as long as a login may be refreshed.
    """
    longest = [entry.rules.max_lifetime + 2 * entry.rules.leeway for entry in entries]
    usual = round((settings.token_max_lifetime + 2 * settings.jwt_leeway) * SECOND)
    return max([usual, *longest]) + 60 * SECOND


def create_app(settings: Settings, *, demo: bool = False) -> web.Application:
    """Return the hub as an aiohttp application.

    Raises:
        SettingsError: when there is nothing to verify tokens with, a cookie that no origin may use,
            or the demo cannot be served.
    """
    if demo:
        settings = suit_demo(settings)
    if settings.cookie_name is not None and not settings.allowed_origins:
        raise SettingsError("HUB_ALLOWED_ORIGINS: HUB_COOKIE_NAME needs an origin to be used from")
    entries, metrics = load_entries(settings), Metrics()
    store, issuers = create_store(settings, metrics, entries), Issuers(entries, metrics)
    refusals = Refusals(metrics)
    limits = Limits(refusals, settings.limit_refused, settings.limit_calls, settings.limit_admin)
    authority = Authority(store, issuers)
    completions = Completions(store)
    audit = _open_audit(settings, metrics)
    logouts = Logouts(store, metrics, completions, audit, refusals)
    trusted = tuple(ipaddress.ip_network(network) for network in settings.trusted_proxies)

    connections = Connections()
    server = Server(
        connections,
        transports=settings.transports,
        connect_timeout=settings.connect_timeout,
        max_body=settings.max_body,
        replica=settings.replica,
        read_seconds=settings.limit_read_seconds,
        write_seconds=settings.limit_write_seconds,
        pending=Pending(
            settings.limit_pending, settings.limit_pending_total, limits.refused, refusals
        ),
        read_source=lambda request: address_key(
            read_client(request.headers, request.remote, trusted).ip
        ),
        refusals=refusals,
    )
    presences = Presences(store, connections, settings.replica)
    reports = Reports(store)
    delivery = Delivery(
        connections, server, reports, presences.lease, settings.notice_grace, metrics
    )
    sweeper = Sweeper(authority, connections, delivery, metrics, store.partition_of)
    follower = Follower(
        store,
        logouts,
        connections,
        delivery,
        sweeper,
        metrics,
        fence=settings.fence_seconds,
        cut_off=settings.on_data_loss == "cut_off",
        close_sockets=server.eio.leave,
        audit=audit,
    )
    server.eio.is_closed = lambda: not follower.takes_sockets
    admission = Admission(
        settings.cookie_name,
        settings.allowed_origins,
        trusted,
        settings.limit_sockets_session,
        settings.limit_sockets_user,
    )
    Sockets(
        server,
        authority,
        logouts,
        connections,
        delivery,
        presences,
        admission,
        metrics,
        limits,
        refusals,
        settings.limit_events,
        audit,
        follower.serves,
    )

    app = web.Application(
        middlewares=[answer_requests],
        client_max_size=settings.max_body,
    )
    vitals = Vitals(store)
    app[PARTS] = Parts(
        settings=settings,
        store=store,
        issuers=issuers,
        authority=authority,
        administrators=Administrators(
            settings.admin_credentials,
            settings.admin_token.get_secret_value() if settings.admin_token else None,
        ),
        logouts=logouts,
        metrics=metrics,
        limits=limits,
        readiness=Readiness(
            store,
            presences.lease,
            follower.unheard,
            lambda: server.eio.is_leaving,
        ),
        vitals=vitals,
        audit=audit,
        trusted=trusted,
        admin_ports=set(),
    )
    app[RELOADS] = [
        _reloading(settings, issuers, logout_lifetime(settings, entries)),
        audit.reopen,
    ]
    app.on_response_prepare.append(add_headers)
    add_routes(app)
    add_pages(app, settings, authority)
    server.attach(app)
    if demo:
        add_demo(app, settings, authority)
    app.cleanup_ctx.append(_auditing(audit, settings))
    app.cleanup_ctx.append(_running(store, issuers, follower, presences, reports, vitals))
    app.on_shutdown.append(_closing(server, delivery, completions))
    return app


def _reloading(
    settings: Settings, issuers: Issuers, lifetime: Micros
) -> Callable[[], Awaitable[None]]:
    """Return what reads the issuers anew; a file that is not usable changes nothing."""

    async def reload() -> None:
        try:
            entries = load_entries(settings)
            if logout_lifetime(settings, entries) > lifetime:
                raise SettingsError(
                    "HUB_ISSUERS: max_lifetime is longer than logouts are remembered: restart"
                )
        except SettingsError as error:
            log.error("the issuers were not read again", error=str(error))
            return
        await issuers.replace(entries)
        log.info("the issuers were read again", issuers=[entry.name for entry in entries])

    return reload


def _open_audit(settings: Settings, metrics: Metrics) -> Audit:
    copy = None
    if settings.audit_file is not None and settings.redis_url is not None:
        copy = AuditStream(settings.redis_url.get_secret_value())
    audit = Audit(settings.audit_file, settings.replica, metrics, copy)
    try:
        audit.open()
    except OSError as error:
        raise SettingsError(f"HUB_AUDIT_FILE: {error}") from None
    return audit


def _auditing(audit: Audit, settings: Settings) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return what writes the audit log, from before anything else begins until after its end."""

    async def run(app: web.Application) -> AsyncIterator[None]:
        async with audit:
            audit.note("start", version=hub_version(), settings=settings.describe_given())
            yield
            audit.sum_up()
            audit.note("stop")

    return run


def _running(
    store: MemoryStore | RedisStore,
    issuers: Issuers,
    follower: Follower,
    presences: Presences,
    reports: Reports,
    vitals: Vitals,
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def run(app: web.Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(store)
            stack.push_async_callback(issuers.aclose)
            parts = (follower, presences, reports, vitals)
            tasks = [asyncio.create_task(part.run()) for part in parts]
            # A hub whose store is down starts all the same, and turns ready when it is back.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(START_TIMEOUT):
                    await follower.wait_until_served()
            yield
            await _end(tasks)

    return run


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    # A library may swallow a cancellation that comes at the wrong moment, so it is said again.
    for _ in range(TRIES):
        for task in tasks:
            task.cancel()
        _, left = await asyncio.wait(tasks, timeout=1)
        if not left:
            return


def _closing(
    server: Server, delivery: Delivery, completions: Completions
) -> Callable[[web.Application], Awaitable[None]]:
    async def close(app: web.Application) -> None:
        await completions.close()
        await delivery.close()
        await server.eio.end_all()

    return close


@contextlib.asynccontextmanager
async def serve(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve ``app`` inside the context, which is entered with the port once it listens.

    With HUB_ADMIN_PORT the listener for operators is served as well.
    """
    settings = app[PARTS].settings
    runner = Runner(
        app,
        read_seconds=settings.limit_read_seconds,
        write_seconds=settings.limit_write_seconds,
        keepalive_timeout=KEEPALIVE,
        shutdown_timeout=SHUTDOWN_TIMEOUT,
        max_field_size=MAX_HEADER,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=4096)
        await site.start()
        if settings.admin_port is not None:
            await web.TCPSite(runner, settings.admin_host, settings.admin_port).start()
            app[PARTS].admin_ports.update(address[1] for address in runner.addresses[1:])
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
