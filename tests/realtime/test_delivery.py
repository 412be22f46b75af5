"""The notification of sockets, and their end, from the inside."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from hub.access.client import Client
from hub.core.model import Identity, Logout, Reason, Scope, State, UserKey, user_key
from hub.metrics import Metrics
from hub.realtime.acknowledgements import Acknowledgements
from hub.realtime.connections import Connection, Connections
from hub.realtime.delivery import Delivery
from hub.realtime.reports import Reports
from hub.store.values import LogoutEvent, Report
from tests.patience import PATIENCE

ADA = user_key("", "ada")
LOGOUT = Logout(id="x", user=ADA, scope=Scope.ALL, reason=Reason.USER, at=10)


class Silent:
    """A socket whose client says nothing."""

    has_unsent = False

    def __init__(self, number: int) -> None:
        self.id = str(number)
        self.is_cut = False

    def send(self, packet: str, frame: bytes) -> None:
        """Keep nothing."""

    def disconnect(self) -> None:
        """Note it."""
        self.is_cut = True


class Kept:
    """Reports that are kept instead of sent."""

    def __init__(self) -> None:
        self.reports: list[Report] = []

    def add(self, report: Report) -> None:
        """Keep a report."""
        self.reports.append(report)

    async def flush(self) -> None:
        """There is nothing to send."""


class Site:
    """A delivery for two accepted sockets of a user."""

    def __init__(self, grace: float) -> None:
        self.connections = Connections(lambda user: 0)
        self.acknowledgements = Acknowledgements()
        self.kept = Kept()
        self.sockets = [Silent(number) for number in range(2)]
        for socket in self.sockets:
            identity = Identity(user=ADA, sub="ada", iss="", sid=socket.id, iat=0, exp=1)
            connection = Connection(cast("Any", socket), identity, Client(None, "", ""))
            self.connections.add(connection)
            connection.accepted = True
        self.delivery = Delivery(
            self.connections,
            self.acknowledgements,
            cast("Reports", self.kept),
            "lease",
            grace,
            Metrics(),
        )

    def deliver(self) -> None:
        """Begin to end both sockets."""

        def concerns(user: UserKey) -> bool:
            return user == ADA

        assert self.delivery.deliver(LogoutEvent(LOGOUT, concerns)) == 2


async def test_a_socket_that_closes_before_it_is_notified_is_not_waited_for() -> None:
    """It is offline, and the logout is done long before the grace has passed."""
    site = Site(grace=10 * PATIENCE)
    found = list(site.connections)
    for socket in site.sockets:
        site.connections.remove(socket.id)
    site.delivery.end(found, LOGOUT)
    async with asyncio.timeout(PATIENCE):
        await site.delivery.close()
    assert site.kept.reports[0].sessions == {"0": State.OFFLINE, "1": State.OFFLINE}


async def test_sockets_that_cannot_be_notified_are_cut_all_the_same() -> None:
    """All sockets of the logout are cut at once, and the receipt says so."""
    site = Site(grace=10 * PATIENCE)
    broken = site.sockets[1]

    def fail(packet: str, frame: bytes) -> None:
        raise RuntimeError("this socket is broken")

    broken.send = fail  # type: ignore[method-assign]
    site.deliver()
    async with asyncio.timeout(PATIENCE):
        await site.delivery.close()
    assert all(socket.is_cut for socket in site.sockets)
    assert site.kept.reports[0].sessions == {"0": State.CUT, "1": State.CUT}
    for socket in site.sockets:
        site.connections.remove(socket.id)


async def test_a_socket_that_cannot_be_cut_keeps_no_other_open() -> None:
    """The others are cut after the grace, and the receipt is complete."""
    site = Site(grace=0.05)

    def fail() -> None:
        raise RuntimeError("this socket is broken")

    site.sockets[0].disconnect = fail  # type: ignore[method-assign]
    site.deliver()
    async with asyncio.timeout(PATIENCE):
        await site.delivery.close()
    assert site.sockets[1].is_cut
    assert site.kept.reports[0].sessions == {"0": State.NOTIFIED, "1": State.NOTIFIED}
    for socket in site.sockets:
        site.connections.remove(socket.id)


async def test_a_delivery_that_is_cancelled_leaves_nothing_that_waits() -> None:
    """A process that is ended during the grace: no acknowledgement is awaited, no timer runs."""
    site = Site(grace=0.05)
    site.deliver()
    await asyncio.sleep(0)
    assert site.acknowledgements._awaited
    closing = asyncio.create_task(site.delivery.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    await asyncio.sleep(0.1)
    assert not site.acknowledgements._awaited
    for socket in site.sockets:
        site.connections.remove(socket.id)
