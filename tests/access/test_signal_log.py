"""What became of signals is recorded, at a cost that no flood can raise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest

from hub.access.signal_log import INTERVAL, MOST, SignalLog
from hub.api.services import SERVICES
from hub.core.model import SECOND
from hub.core.refusal import Refusal
from hub.core.signal import Channel, SignalRecord, Verdict
from hub.errors import Unavailable
from hub.store.memory import MemoryStore
from tests.realtime.raw import eventually
from tests.signals_site import access_token, issuer_settings, send_logout, send_token
from tests.signals_table import LOGOUT_TOKENS, Case, Sender, logout_token
from tests.site import Replica, running

SENDER = Sender()
BAD = next(case for case in LOGOUT_TOKENS if case.reason is Refusal.NONCE)


class Counting(MemoryStore):
    """A store that counts how often records are written, and fails if told to."""

    def __init__(self) -> None:
        super().__init__(lifetime=3600 * SECOND)
        self.writes = 0
        self.fails = False

    async def add_signals(self, records: Sequence[SignalRecord]) -> None:
        """Count, then keep or fail."""
        self.writes += 1
        if self.fails:
            raise Unavailable("not now")
        await super().add_signals(records)


@pytest.fixture
def store() -> Counting:
    """An empty store."""
    return Counting()


@pytest.fixture
async def records(store: Counting) -> AsyncIterator[SignalLog]:
    """A log that runs."""
    made = SignalLog(store)
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()


async def found(store: MemoryStore) -> list[SignalRecord]:
    """Return all records, without their times."""
    return [msgspec.structs.replace(one, at=0) for one in (await store.signals("0"))[1]]


async def test_what_is_refused_is_written_together(store: Counting, records: SignalLog) -> None:
    """As one record with the count and the most frequent reason, once a second at most."""
    began = time.monotonic()
    for number in range(1000):
        records.add_refused(Channel.PUSH, "the signature" if number % 3 else "the audience")
        if number % 100 == 0:
            await asyncio.sleep(0.01)

    async def are_all_written() -> bool:
        return sum(one.times for one in await found(store)) == 1000

    await eventually(are_all_written)
    assert store.writes <= 1 + (time.monotonic() - began) / INTERVAL
    assert {one.error for one in await found(store)} <= {"the signature", "the audience"}
    assert {one.verdict for one in await found(store)} == {None}


async def test_what_the_store_does_not_take_is_dropped(store: Counting, records: SignalLog) -> None:
    """And neither comes later nor stops what follows."""
    store.fails = True
    records.add(SignalRecord(Channel.PUSH, Verdict.ENDED, id="lost"))
    await eventually(lambda: store.writes)
    store.fails = False
    records.add(SignalRecord(Channel.PUSH, Verdict.ENDED, id="kept"))
    await eventually(lambda: found(store))
    assert [one.id for one in await found(store)] == ["kept"]


async def test_only_so_many_records_wait(store: Counting) -> None:
    """While nothing is written, the newest are kept."""
    records = SignalLog(store)
    for number in range(MOST + 10):
        records.add(SignalRecord(Channel.POLL, Verdict.NOBODY, id=str(number)))
    task = asyncio.create_task(records.run())
    await eventually(lambda: store.writes)
    task.cancel()
    assert next(one.id for one in await found(store)) == "10"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Replica]:
    """A hub that takes logout tokens."""
    async with issuer_settings(tmp_path, SENDER) as given, running(given) as replica:
        yield replica


async def test_each_accepted_signal_has_one_record(hub: Replica) -> None:
    """With its verdict, and the logout that it asked for; refused ones are counted."""
    store = hub.app[SERVICES].store
    assert isinstance(store, MemoryStore)
    known = access_token(SENDER, "ada", "s-1")
    await hub.call("GET", "/session", known)
    token = logout_token(Case("", None), SENDER, time.time(), sub="ada", sid="s-1")
    for _ in range(2):
        assert (await send_token(hub, token)).status == 200
    assert (await send_logout(hub, SENDER, sub="grace", sid="s-9")).status == 200
    for _ in range(3):
        assert (await send_logout(hub, SENDER, BAD)).status == 400

    async def are_written() -> bool:
        return sum(one.times for one in await found(store)) == 6

    await eventually(are_written)
    accepted = [one for one in await found(store) if one.verdict is not None]
    assert [one.verdict for one in accepted] == [Verdict.ENDED, Verdict.REPEATED, Verdict.NOBODY]
    assert {(one.by, one.event) for one in accepted} == {(SENDER.iss, "backchannel-logout")}
    ended = await hub.call("GET", "/session", known)
    assert [one.logout for one in accepted[:2]] == [ended.body["id"]] * 2
    assert {one.error for one in await found(store) if one.verdict is None} == {
        "has a nonce, as an ID token does"
    }
