"""Wires everything together; `create_app` reads from top to bottom."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import structlog
from aiohttp import web

from hub.access.administrators import Administrators
from hub.access.audit import Audit
from hub.access.clients import Clients
from hub.access.device import load_patterns
from hub.access.feed import Feed
from hub.access.key_renewal import KeyRenewal
from hub.access.polling_streams import PollingStreams
from hub.access.process import ProcessCheck
from hub.access.readiness import Readiness
from hub.access.signer import Signer
from hub.aiohttp_internals import UpgradeRequest
from hub.api.arrival import OpenWebSocket
from hub.api.listener import Runner
from hub.api.middleware import add_headers, answer_requests
from hub.api.routes import add_routes
from hub.api.services import SERVICES, Services
from hub.assembly import (
    Access,
    Realtime,
    create_access,
    create_feed,
    create_polling,
    create_realtime,
)
from hub.core.model import Micros
from hub.core.signing import load_signing_key
from hub.core.tokens import MAX_TOKEN_BYTES
from hub.environment import describe_given
from hub.issuers_file import load_issuers_file
from hub.metrics import Metrics
from hub.pages import read_client as read_client_js
from hub.pages import read_elements as read_elements_js
from hub.pages.demo import add_demo, suit_demo
from hub.pages.routes import add_pages
from hub.settings import Settings, SettingsError
from hub.storage import OpenStore, create_store, logout_lifetime, token_lifetime
from hub.store.cancellation import cancel
from hub.version import hub_version

log = structlog.get_logger(__name__)

START_TIMEOUT = 2.0
STOP_TIMEOUT = 5.0
KEEPALIVE = 75.0
SHUTDOWN_TIMEOUT = 3.0
MAX_HEADER = 2 * MAX_TOKEN_BYTES

OPEN_WEBSOCKET: web.AppKey[OpenWebSocket] = web.AppKey("open_websocket")
"""Opens a WebSocket before the application is asked (`hub.api.arrival`)."""

RELOADS = web.AppKey("reloads", list[Callable[[], Awaitable[None]]])
"""Functions that are called on SIGHUP, when the operator has changed a file."""


def create_app(settings: Settings, *, demo: bool = False) -> web.Application:
    """Return the hub as an aiohttp application.

    Raises:
        SettingsError: when no key is set, no origin may use the cookie, or the demo cannot be
            served.
    """
    if demo:
        settings = suit_demo(settings)
    if settings.cookie_name is not None and not settings.allowed_origins:
        raise SettingsError("HUB_ALLOWED_ORIGINS: HUB_COOKIE_NAME needs an origin to be used from")
    metrics, file = Metrics(), load_issuers_file(settings)
    entries = file.entries
    store = create_store(settings, metrics, entries)
    process = ProcessCheck(store)
    access = create_access(settings, metrics, store, file)
    feed = create_feed(settings, metrics, store, logout_lifetime(settings, entries))
    realtime = create_realtime(settings, metrics, store, access, feed)
    polling = create_polling(settings, metrics, store, access)

    app = web.Application(middlewares=[answer_requests], client_max_size=settings.max_body)
    clients = Clients(file.clients)
    app[SERVICES] = _create_services(
        settings, metrics, store, access, realtime, process, clients, feed
    )
    app[OPEN_WEBSOCKET] = _open_in_public(
        app[SERVICES].admin_ports, realtime.server.engine.open_directly
    )
    app[RELOADS] = [
        _reloading(settings, access, clients, token_lifetime(settings, entries)),
        access.audit.reopen,
    ]
    app.on_response_prepare.append(add_headers)
    add_routes(app)
    add_pages(app, settings, access.authority, access.find_title)
    realtime.server.attach(app)
    if demo:
        add_demo(app, settings, access.authority)
    app.cleanup_ctx.append(_auditing(access.audit, settings))
    app.cleanup_ctx.append(_running(store, access, realtime, process, polling, feed))
    app.on_shutdown.append(_closing(access, realtime, feed))
    return app


# ---- HTTP ----


def _create_services(
    settings: Settings,
    metrics: Metrics,
    store: OpenStore,
    access: Access,
    realtime: Realtime,
    process: ProcessCheck,
    clients: Clients,
    feed: Feed,
) -> Services:
    admin_token = settings.admin_token.get_secret_value() if settings.admin_token else None
    guard_token = settings.guard_token.get_secret_value() if settings.guard_token else None
    server, follower = realtime.server, realtime.follower
    return Services(
        settings=settings,
        store=store,
        issuers=access.issuers,
        authority=access.authority,
        administrators=Administrators(settings.admin_credentials, admin_token, guard_token),
        clients=clients,
        logouts=access.logouts,
        signals=access.signals,
        events=access.events,
        transmitters=access.transmitters,
        feed=feed,
        metrics=metrics,
        limits=access.limits,
        readiness=Readiness(
            store,
            realtime.presences.lease,
            follower.unconfirmed,
            lambda: server.engine.is_leaving,
        ),
        process=process,
        audit=access.audit,
        trusted=access.trusted,
        signer=_create_signer(settings),
        client_js=read_client_js(),
        elements_js=read_elements_js(),
        admin_ports=set(),
    )


def _create_signer(settings: Settings) -> Signer | None:
    if settings.introspection_key is None or settings.public_url is None:
        return None
    key = load_signing_key(settings.introspection_key.get_secret_value())
    return Signer(key, settings.public_url)


def _open_in_public(admin_ports: set[int], open_websocket: OpenWebSocket) -> OpenWebSocket:
    """Return a function that opens WebSockets, except on the admin listener."""

    def open_public(message: UpgradeRequest, transport: asyncio.Transport) -> bool:
        name = transport.get_extra_info("sockname") if admin_ports else None
        is_admin = name is not None and name[1] in admin_ports
        return not is_admin and open_websocket(message, transport)

    return open_public


class CannotListen(OSError):
    """A listener cannot be opened; the text is one line that says which and why."""


async def _listen(runner: Runner, host: str, port: int, **options: Any) -> None:
    try:
        await web.TCPSite(runner, host, port, **options).start()
    except OSError as error:
        raise CannotListen(_explain(host, port, error.strerror or str(error))) from error


def _explain(host: str, port: int, why: str) -> str:
    return f"cannot listen on {f'[{host}]' if ':' in host else host}:{port}: {why}"


@contextlib.asynccontextmanager
async def serve(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve ``app`` inside the context, which is entered with the port once it listens.

    With HUB_ADMIN_PORT the admin listener is served as well.

    Raises:
        CannotListen: when a listener cannot be opened, or both would have the same port.
    """
    settings = app[SERVICES].settings
    runner = Runner(
        app,
        read_seconds=settings.limit_read_seconds,
        write_seconds=settings.limit_write_seconds,
        keepalive_timeout=KEEPALIVE,
        shutdown_timeout=SHUTDOWN_TIMEOUT,
        max_field_size=MAX_HEADER,
        open_websocket=app[OPEN_WEBSOCKET],
    )
    await runner.setup()
    try:
        if settings.admin_port is not None:
            await _listen(runner, settings.admin_host, settings.admin_port)
            # Set before the first request: without them, one listener would serve everything.
            app[SERVICES].admin_ports.update(address[1] for address in runner.addresses)
        first = len(runner.addresses)
        await _listen(runner, host, port, backlog=4096)
        public = runner.addresses[first][1]
        if public in app[SERVICES].admin_ports:
            # Port 0 may be the same one on two addresses.
            raise CannotListen(_explain(host, public, "the admin listener has the same port"))
        yield public
    finally:
        await runner.cleanup()


# ---- Background tasks, start and shutdown ----


def _reloading(
    settings: Settings, access: Access, clients: Clients, lifetime: Micros
) -> Callable[[], Awaitable[None]]:
    """Return a function that reloads the issuers file; an invalid file changes nothing."""

    async def reload() -> None:
        try:
            file = load_issuers_file(settings)
            entries = file.entries
            if token_lifetime(settings, entries) > lifetime:
                raise SettingsError(
                    "HUB_ISSUERS: max_lifetime is longer than logouts are remembered: restart"
                )
        except SettingsError as error:
            log.error("the issuers were not reloaded", error=str(error))
            return
        # The whole file takes effect at once: there is no await in between.
        clients.replace(file.clients)
        gone = access.issuers.replace(entries), access.transmitters.replace(file.transmitters)
        log.info("the issuers were reloaded", issuers=[entry.name for entry in entries])
        await asyncio.gather(*gone, access.issuers.renew(), access.transmitters.renew())

    return reload


def _auditing(audit: Audit, settings: Settings) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return a context that writes the audit log; it starts first and ends last."""

    async def run(app: web.Application) -> AsyncIterator[None]:
        async with audit:
            audit.note("start", version=hub_version(), settings=describe_given(settings))
            yield
            audit.sum_up()
            audit.note("stop")

    return run


def _running(
    store: OpenStore,
    access: Access,
    realtime: Realtime,
    process: ProcessCheck,
    polling: PollingStreams,
    feed: Feed,
) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return a context that connects the store and runs the background tasks."""

    async def run(app: web.Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(store)
            stack.push_async_callback(access.issuers.aclose)
            stack.push_async_callback(access.transmitters.aclose)
            stack.push_async_callback(polling.aclose)
            stack.push_async_callback(access.notes.write)
            background = (
                realtime.follower,
                realtime.presences,
                realtime.reports,
                realtime.withdrawals,
                KeyRenewal(access.issuers, access.transmitters),
                process,
                polling,
                feed,
                access.notes,
                access.records,
            )
            tasks = [asyncio.create_task(one.run()) for one in background]
            await asyncio.to_thread(load_patterns)
            # A hub starts even if its store is down, and becomes ready when it is back.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(START_TIMEOUT):
                    await realtime.follower.wait_until_served()
            yield
            # A shutdown must not hang, whatever a task does.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_TIMEOUT):
                    await cancel(tasks)

    return run


def _closing(
    access: Access, realtime: Realtime, feed: Feed
) -> Callable[[web.Application], Awaitable[None]]:
    async def close(app: web.Application) -> None:
        feed.close()
        await access.completions.close()
        await realtime.delivery.close()
        await realtime.server.drain()

    return close
