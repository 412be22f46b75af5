"""The services that handlers call; `hub.app` creates them."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from hub.access.administrators import Administrators
from hub.access.audit import Audit
from hub.access.authority import Authority
from hub.access.clients import Clients
from hub.access.feed import Feed
from hub.access.issuers import Issuers
from hub.access.limits import Limits
from hub.access.logouts import Logouts
from hub.access.process import ProcessCheck
from hub.access.readiness import Readiness
from hub.access.security_events import SecurityEvents
from hub.access.signals import Signals
from hub.access.signer import Signer
from hub.access.transmitters import Transmitters
from hub.core.address import Network
from hub.metrics import Metrics
from hub.settings import Settings
from hub.store.base import Store


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running hub that HTTP handlers need."""

    settings: Settings
    store: Store
    issuers: Issuers
    authority: Authority
    administrators: Administrators
    clients: Clients
    logouts: Logouts
    signals: Signals
    events: SecurityEvents
    transmitters: Transmitters
    feed: Feed
    metrics: Metrics
    limits: Limits
    readiness: Readiness
    process: ProcessCheck
    audit: Audit
    trusted: tuple[Network, ...]
    """Proxies whose ``X-Forwarded-For`` is believed."""

    signer: Signer | None
    """Signs introspections, with HUB_INTROSPECTION_KEY."""

    client_js: str
    elements_js: str
    admin_ports: set[int]
    """The ports of the admin listener, once it listens; empty without one."""


SERVICES = web.AppKey("services", Services)
