"""Access and realtime, each assembled from the settings and from what it stands on."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from hub.access.audit import Audit
from hub.access.authority import Authority
from hub.access.client import read_client
from hub.access.completion import Completions
from hub.access.issuers import Issuers
from hub.access.limits import Limits, Refusals, address_key
from hub.access.logouts import Logouts
from hub.core.address import Network
from hub.core.issuers import Entry
from hub.metrics import Metrics
from hub.realtime.connections import Connections
from hub.realtime.delivery import Delivery
from hub.realtime.follower import Follower
from hub.realtime.pending import Pending
from hub.realtime.presence import Presences
from hub.realtime.reports import Reports
from hub.realtime.server import Server
from hub.realtime.sockets import Admission, Sockets
from hub.settings import Settings, SettingsError
from hub.store.audit_stream import AuditStream
from hub.store.base import Store

# ---- Access: who is calling, and what may they do? ----


@dataclass(frozen=True, slots=True)
class Access:
    """What decides about calls, over HTTP and sockets alike."""

    issuers: Issuers
    authority: Authority
    refusals: Refusals
    limits: Limits
    audit: Audit
    completions: Completions
    logouts: Logouts
    trusted: tuple[Network, ...]


def create_access(
    settings: Settings, metrics: Metrics, store: Store, entries: Sequence[Entry]
) -> Access:
    """Return what decides about calls.

    Raises:
        SettingsError: when the audit log cannot be written.
    """
    issuers, refusals = Issuers(entries, metrics), Refusals(metrics)
    completions, audit = Completions(store), _open_audit(settings, metrics)
    return Access(
        issuers=issuers,
        authority=Authority(store, issuers),
        refusals=refusals,
        limits=Limits(refusals, settings.limit_refused, settings.limit_calls, settings.limit_admin),
        audit=audit,
        completions=completions,
        logouts=Logouts(store, metrics, completions, audit, refusals),
        trusted=tuple(ipaddress.ip_network(network) for network in settings.trusted_proxies),
    )


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


# ---- Realtime: sockets, and the log of logouts that they are told of ----


@dataclass(frozen=True, slots=True)
class Realtime:
    """What serves sockets and follows the log."""

    server: Server
    presences: Presences
    reports: Reports
    delivery: Delivery
    follower: Follower


def create_realtime(settings: Settings, metrics: Metrics, store: Store, access: Access) -> Realtime:
    """Return what serves sockets and follows the log, not yet running."""
    connections, reports = Connections(), Reports(store)
    server = _create_server(settings, connections, access)
    presences = Presences(store, connections, settings.replica)
    delivery = Delivery(
        connections, server, reports, presences.lease, settings.notice_grace, metrics
    )
    follower = Follower(
        store,
        access.authority,
        access.logouts,
        connections,
        delivery,
        metrics,
        fence=settings.fence_seconds,
        cut_off=settings.on_data_loss == "cut_off",
        close_sockets=server.eio.leave,
        audit=access.audit,
    )
    server.eio.is_closed = lambda: follower.is_fenced
    Sockets(
        server,
        access.authority,
        access.logouts,
        connections,
        delivery,
        presences,
        _create_admission(settings, access),
        metrics,
        access.limits,
        access.refusals,
        settings.limit_events,
        access.audit,
    )
    return Realtime(server, presences, reports, delivery, follower)


def _create_server(settings: Settings, connections: Connections, access: Access) -> Server:
    def read_source(request: web.Request) -> str:
        return address_key(read_client(request.headers, request.remote, access.trusted).ip)

    return Server(
        connections,
        transports=settings.transports,
        connect_timeout=settings.connect_timeout,
        max_body=settings.max_body,
        replica=settings.replica,
        read_seconds=settings.limit_read_seconds,
        write_seconds=settings.limit_write_seconds,
        pending=Pending(
            settings.limit_pending,
            settings.limit_pending_total,
            access.limits.refused,
            access.refusals,
        ),
        read_source=read_source,
        refusals=access.refusals,
    )


def _create_admission(settings: Settings, access: Access) -> Admission:
    return Admission(
        settings.cookie_name,
        settings.allowed_origins,
        access.trusted,
        settings.limit_sockets_session,
        settings.limit_sockets_user,
    )
