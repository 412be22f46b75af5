"""What this replica writes to the store while one partition does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hub.access.client import Client
from hub.access.readiness import Readiness
from hub.core.model import Identity, Logout, Reason, Scope, UserKey
from hub.errors import Unavailable
from hub.realtime.connections import Connection, Connections
from hub.realtime.presence import Presences
from hub.realtime.reports import BATCH, Reports
from hub.store.values import Departure, LogoutEvent, Report
from tests.realtime.raw import eventually

HERE, AWAY = "1", "2"
"""Users of the partitions of these numbers."""


class PartialStore:
    """Three partitions; those in ``down`` do not answer."""

    partition_count = 3

    def __init__(self) -> None:
        self.down: set[int] = {int(AWAY)}
        self.left: list[str] = []
        self.reported: list[str] = []

    def partition_of(self, user: UserKey) -> int:
        """Return the number that the user is called by."""
        return int(user)

    async def renew(self, lease: str, departures: Sequence[Departure] = ()) -> Mapping[int, str]:
        """Record departures."""
        asked = {int(gone.user) for gone in departures} or set(range(self.partition_count))
        if asked <= self.down:
            raise Unavailable("it hangs")
        self.left += [gone.sid for gone in departures if int(gone.user) not in self.down]
        return dict.fromkeys(asked & self.down, "it hangs")

    async def report(self, report: Report) -> None:
        """Note a report."""
        if int(report.event.logout.user or 0) in self.down:
            raise Unavailable("it hangs")
        self.reported.append(report.event.logout.id)


@pytest.fixture
def store() -> Any:
    """A store of which a partition is down."""
    return PartialStore()


def leave(presences: Presences, user: str, sid: str) -> None:
    """Close the last socket of a session."""
    identity = Identity(user, "", "", sid, iat=0, exp=1)
    socket = cast(Any, SimpleNamespace(id=sid))
    presences.remove(Connection(socket, identity, Client("", "", "")))


async def run(work: Any, until: Callable[[], Any]) -> None:
    """Run something until a check holds."""
    task = asyncio.create_task(work)
    try:
        await eventually(until, 10)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_departures_are_told_where_they_can_be(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Departures in a partition that is down wait for a later renewal and delay no others."""
    monkeypatch.setattr("hub.realtime.presence.LEASE", 600_000)
    presences = Presences(store, Connections(store.partition_of), "r")
    leave(presences, AWAY, "a1")
    leave(presences, HERE, "h1")
    await run(presences.run(), lambda: store.left == ["h1"])
    leave(presences, HERE, "h2")
    await run(presences.run(), lambda: store.left == ["h1", "h2"])
    store.down.clear()
    await run(presences.run(), lambda: store.left == ["h1", "h2", "a1"])


async def test_reports_of_a_partition_that_is_down_keep_no_others(store: Any) -> None:
    """However many reports wait for a partition that is down, all others are sent."""
    reports = Reports(store)
    for number in range(2 * BATCH):
        reports.add(report(AWAY, f"a{number}"))
    reports.add(report(HERE, "h"))
    with pytest.raises(Unavailable):
        await reports.flush()
    assert store.reported == ["h"]
    store.down.clear()
    await reports.flush()
    assert len(store.reported) == 2 * BATCH + 1


def report(user: str, name: str) -> Report:
    """Return a report of one user's logout."""
    logout = Logout(name, user, Scope.ALL, Reason.USER)
    return Report("lease", LogoutEvent(logout, lambda other: other == user, partition=int(user)))


async def test_readiness_is_of_half_of_the_partitions(store: Any) -> None:
    """A partition that is down is named with the reason; if more than half are, it is 503."""
    unconfirmed: dict[int, str] = {}
    is_leaving = False

    def readiness() -> Readiness:
        return Readiness(store, "lease", lambda: unconfirmed, lambda: is_leaving)

    assert await readiness().check() == {2: "it hangs"}
    unconfirmed[2] = "fenced: it hangs"
    assert await readiness().check() == unconfirmed
    unconfirmed[0] = "lost"
    with pytest.raises(Unavailable) as refused:
        await readiness().check()
    assert refused.value.detail == (
        "logouts are not received in partitions 0 (lost); 2 (fenced: it hangs)"
    )
    unconfirmed.clear()
    is_leaving = True
    with pytest.raises(Unavailable):
        await readiness().check()
