"""Creates the parts of access and realtime from the settings, and connects them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from hub.access.audit import Audit
from hub.access.authority import Authority
from hub.access.client import Client, read_client
from hub.access.completion import Completions
from hub.access.feed import Feed
from hub.access.issuers import Issuers
from hub.access.limits import Limits, Refusals
from hub.access.logouts import Logouts
from hub.access.polling_streams import PollingStreams
from hub.access.security_events import SecurityEvents
from hub.access.signal_log import SignalLog
from hub.access.signals import Signals
from hub.access.stream_notes import StreamNotes
from hub.access.transmitters import Transmitters
from hub.core.address import Network
from hub.core.issuers_document import IssuersFile
from hub.core.model import Micros
from hub.metrics import Metrics
from hub.protocol.engineio import Config
from hub.realtime.acknowledgements import Acknowledgements
from hub.realtime.connections import Connections
from hub.realtime.delivery import Delivery
from hub.realtime.engine import Opening
from hub.realtime.follower import Follower
from hub.realtime.handlers import Admission, Handlers
from hub.realtime.presence import Presences
from hub.realtime.reports import Reports
from hub.realtime.server import Server
from hub.realtime.sweeps import Sweeper
from hub.realtime.timer_wheel import TimerWheel
from hub.realtime.unconnected import Unconnected
from hub.realtime.withdrawals import Withdrawals
from hub.settings import Settings, SettingsError
from hub.store.audit_stream import AuditStream
from hub.store.base import Store

# ---- Access: who is calling, and what may they do? ----


@dataclass(frozen=True, slots=True)
class Access:
    """The parts of access, which HTTP and sockets share."""

    issuers: Issuers
    authority: Authority
    refusals: Refusals
    limits: Limits
    audit: Audit
    completions: Completions
    logouts: Logouts
    signals: Signals
    records: SignalLog
    transmitters: Transmitters
    notes: StreamNotes
    events: SecurityEvents
    trusted: tuple[Network, ...]

    def find_title(self, by: str | None) -> str | None:
        """Return the name, for people, of the issuer or transmitter ``by``.

        Without ``by`` it is the only name in the settings. None if there are several, or none.
        """
        titles = self.issuers.titles(by) | self.transmitters.titles(by)
        return titles.pop() if len(titles) == 1 else None


def create_access(settings: Settings, metrics: Metrics, store: Store, file: IssuersFile) -> Access:
    """Return the parts of access.

    Raises:
        SettingsError: when the audit log cannot be written.
    """
    issuers, refusals = Issuers(file.entries, metrics), Refusals(metrics)
    completions, audit = Completions(store), _open_audit(settings, metrics)
    logouts = Logouts(store, metrics, completions, audit, refusals)
    limits = Limits(
        refusals,
        settings.limit_refused,
        settings.limit_calls,
        settings.limit_admin,
        settings.limit_clients,
    )
    records = SignalLog(store)
    signals = Signals(store, logouts, completions, limits, metrics, audit, records)
    transmitters, notes = Transmitters(file.transmitters), StreamNotes(store)
    return Access(
        issuers=issuers,
        authority=Authority(store, issuers),
        refusals=refusals,
        limits=limits,
        audit=audit,
        completions=completions,
        logouts=logouts,
        signals=signals,
        records=records,
        transmitters=transmitters,
        notes=notes,
        events=SecurityEvents(issuers, transmitters, signals, notes),
        trusted=tuple(ipaddress.ip_network(network) for network in settings.trusted_proxies),
    )


def create_feed(settings: Settings, metrics: Metrics, store: Store, lifetime: Micros) -> Feed:
    """Return the feed for guards, not yet running; ``lifetime`` is how long logouts are kept."""
    return Feed(
        store,
        metrics,
        lifetime,
        settings.limit_guards,
        is_wanted=settings.guard_token is not None,
    )


def create_polling(
    settings: Settings, metrics: Metrics, store: Store, access: Access
) -> PollingStreams:
    """Return the poller of transmitters, not yet running."""
    return PollingStreams(
        store,
        access.transmitters,
        access.events.take,
        access.notes,
        metrics,
        settings.replica,
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


# ---- Realtime: sockets, and the log of logouts that they are notified of ----


@dataclass(frozen=True, slots=True)
class Realtime:
    """The parts of realtime, which serve sockets and follow the log."""

    server: Server
    presences: Presences
    reports: Reports
    delivery: Delivery
    follower: Follower
    withdrawals: Withdrawals


def create_realtime(
    settings: Settings, metrics: Metrics, store: Store, access: Access, feed: Feed
) -> Realtime:
    """Return the parts of realtime, not yet running."""
    connections, timers = Connections(store.partition_of), TimerWheel()
    reports, acknowledgements = Reports(store), Acknowledgements()
    presences = Presences(store, connections, settings.replica)
    delivery = Delivery(
        connections, acknowledgements, reports, presences.lease, settings.notice_grace, metrics
    )
    sweeper = Sweeper(access.authority, connections, delivery, metrics, store.partition_of)
    follower = Follower(
        store,
        access.logouts,
        connections,
        delivery,
        sweeper,
        metrics,
        fence=settings.fence_seconds,
        cut_off=settings.on_data_loss == "cut_off",
        audit=access.audit,
        pass_on=feed.take,
    )
    handlers = Handlers(
        access.authority,
        access.logouts,
        connections,
        delivery,
        presences,
        _create_admission(settings),
        timers,
        metrics,
        access.limits,
        access.refusals,
        settings.limit_events,
        access.audit,
        follower.serves,
    )
    server = _create_server(settings, access, handlers, acknowledgements, timers, follower)
    withdrawals = Withdrawals(access.issuers, connections)
    return Realtime(server, presences, reports, delivery, follower, withdrawals)


def _create_server(
    settings: Settings,
    access: Access,
    handlers: Handlers,
    acknowledgements: Acknowledgements,
    timers: TimerWheel,
    follower: Follower,
) -> Server:
    def read(opening: Opening) -> Client:
        return read_client(opening.headers, opening.peer, access.trusted)

    return Server(
        Config(transports=settings.transports, max_payload=settings.max_body),
        handlers,
        acknowledgements,
        Unconnected(
            settings.limit_pending,
            settings.limit_pending_total,
            access.limits.refused,
            access.refusals,
        ),
        timers,
        access.refusals,
        connect_timeout=settings.connect_timeout,
        read_client=read,
        replica=settings.replica,
        read_seconds=settings.limit_read_seconds,
        write_seconds=settings.limit_write_seconds,
        is_open=lambda: follower.takes_sockets,
    )


def _create_admission(settings: Settings) -> Admission:
    return Admission(
        settings.cookie_name,
        settings.allowed_origins,
        settings.limit_sockets_session,
        settings.limit_sockets_user,
    )
