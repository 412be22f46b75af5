"""What a store logs of logouts, and how that is read: as it comes, or later from any position."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from hub.core.model import SECOND, Position, Scope, user_key
from hub.core.position import BEGINNING, order
from hub.store import memory as memory_module
from hub.store import reader as reader_module
from hub.store.base import HISTORY_PAGE, Store
from hub.store.values import Command, Confirmed, LogoutEvent, PositionLost
from tests.contract.listener import Listener, listening
from tests.contract.replay import read_log
from tests.contract.test_signals import ISS, refusal
from tests.contract.test_store import ADA, logout, now, registration

EVE = user_key("https://id.example", "eve")


async def log_of(store: Store, user: str = ADA) -> list[LogoutEvent]:
    """Return the whole log of a user's partition."""
    return (await read_log(store, store.partition_of(user)))[0]


def facts(event: LogoutEvent) -> LogoutEvent:
    """Return what is the same of an event from the channel and from the log."""
    return msgspec.structs.replace(event, concerns=bool, is_live=True)


async def test_a_logout_tells_which_registered_sessions_it_ended(store: Store) -> None:
    """Besides the one that it names, as it comes and later."""
    odd = 'odd " \\ é, \x01\n /'
    commands: tuple[tuple[Command, set[str]], ...] = (
        (Command(logout()), {"a1", "b1"}),
        (Command(logout(Scope.OTHERS, "a2")), {"b2"}),
        (Command(logout(Scope.SESSION, "a2"), also="a2"), set()),
        (Command(logout(), also="unseen"), {"a4", "b4", "unseen"}),
        (Command(logout(Scope.OTHERS, "unknown")), {odd}),
        (Command(logout()), set()),
    )
    async with listening(store) as listener:
        for count, (command, ended) in enumerate(commands, 1):
            for sid in ended - {"unseen"} | ({"a2"} if count == 2 else set()):
                await store.register(registration(sid))
            receipt = await store.end(command)
            event = (await listener.hear(count))[-1]
            assert event.logout == receipt.logout
            assert (set(event.sessions), len(event.sessions)) == (ended, len(ended))
        assert list(map(facts, await log_of(store))) == list(map(facts, listener.heard))


async def test_a_logout_of_a_time_tells_which_registered_sessions_it_ended(store: Store) -> None:
    """Those that the registry knows to have begun by then, and nobody else can know."""
    happened = now() - 60 * SECOND
    old = registration("old")
    old = msgspec.structs.replace(
        old, identity=msgspec.structs.replace(old.identity, iat=happened - SECOND)
    )
    await store.register(old)
    await store.register(registration("new"))
    late = msgspec.structs.replace(logout(), before=happened)
    await store.end(Command(late))
    (event,) = await log_of(store)
    assert event.sessions == ("old",)


async def test_the_log_has_what_was_heard(store: Store) -> None:
    """The same events, in the same order, with the same ids, which only grow."""
    async with listening(store) as listener:
        await store.register(registration("a"))
        message = msgspec.structs.replace(logout(), message="why", profile="lost")
        for asked in (message, logout(Scope.SESSION, "x"), logout(Scope.OTHERS, "y")):
            await store.end(Command(asked, also=asked.sid))
        heard = await listener.hear(3)
        logged = await log_of(store)
        assert list(map(facts, logged)) == list(map(facts, heard))
        assert all(one.concerns(ADA) and not one.concerns(EVE) for one in logged)
        assert not any(one.is_live for one in logged)
        assert all(one.partition == store.partition_of(ADA) for one in logged)
        ids = [order(one.entry) for one in logged]
        assert ids == sorted(set(ids))


async def test_a_repeated_logout_is_logged_once(store: Store) -> None:
    """As it is written once."""
    for _ in range(3):
        await store.end(Command(logout(), key="k"))
    assert len(await log_of(store)) == 1


async def test_lists_of_sessions_of_any_length_are_told(roomy_store: Store) -> None:
    """One that is too long for a message is found in the log; nothing is lost, nor out of order."""
    store, sids = roomy_store, [f"{number:03}".ljust(256, "x") for number in range(400)]
    async with listening(store) as listener:
        await store.register(registration("first"))
        await store.end(Command(logout()))
        await asyncio.gather(*(store.register(registration(sid)) for sid in sids))
        long = await store.end(Command(logout()))
        assert len(long.sessions) == 400
        await store.end(Command(logout(Scope.SESSION, "a"), also="a"))
        heard = await listener.hear(3)
        assert [sorted(one.sessions) for one in heard] == [["first"], sids, []]
        assert list(map(facts, await log_of(store))) == list(map(facts, heard))


@pytest.mark.all_partitions
async def test_a_refusal_is_told_in_every_partition(store: Store) -> None:
    """Of an issuer and a session, and of nobody's; one that changes nothing is not told."""
    happened = now() - 60 * SECOND
    first = msgspec.structs.replace(refusal("a", happened), message="why")
    async with listening(store) as listener:
        await store.refuse_session(ISS, first)
        await store.refuse_session(ISS, refusal("a", happened - SECOND))
        await store.refuse_session(ISS, refusal("a", happened))
        await store.refuse_session(ISS, refusal("a", happened + SECOND))
        heard = await listener.hear(2 * store.partition_count)
        for number in range(store.partition_count):
            here = [one for one in heard if one.partition == number]
            logged, _ = await read_log(store, number)
            assert list(map(facts, here)) == list(map(facts, logged))
            assert [one.logout.before for one in here] == [happened, happened + SECOND]
            assert msgspec.structs.replace(here[0].logout, at=0) == first
            for one in here:
                assert (one.issuer, one.logout.user, one.logout.sid) == (ISS, None, "a")
                assert not one.concerns(ADA)
                assert (one.leases, one.sessions) == (frozenset(), ())


@pytest.mark.all_partitions
async def test_a_refusal_of_an_issuer_without_a_name_is_told(store: Store) -> None:
    """That is the one issuer of a hub whose tokens name none."""
    await store.refuse_session("", refusal("a", now()))
    assert [one.issuer for one in await log_of(store)] == [""]


async def test_the_log_is_read_in_pages(store: Store) -> None:
    """Each entry once, oldest first."""
    count = HISTORY_PAGE + 2
    written = [await store.end(Command(logout())) for _ in range(count)]
    partition, after, found, pages = store.partition_of(ADA), None, list[str](), 0
    while True:
        page = await store.history(partition, after)
        assert len(page.events) <= HISTORY_PAGE
        found += [one.logout.id for one in page.events]
        pages, after = pages + 1, page.position
        if page.is_end:
            break
    assert found == [one.logout.id for one in written]
    assert pages == 2


async def test_the_log_is_read_on_from_any_position(store: Store) -> None:
    """Also from before the first entry, and from its end when something follows."""
    partition = store.partition_of(ADA)
    events, start = await read_log(store, partition)
    assert (events, start.entry) == ([], BEGINNING)
    written = [(await store.end(Command(logout()))).logout for _ in range(4)]
    events, end = await read_log(store, partition, start)
    assert [one.logout for one in events] == written
    assert end == Position(start.epoch, events[-1].entry)
    for index, event in enumerate(events):
        place = Position(start.epoch, event.entry)
        rest, last = await read_log(store, partition, place)
        assert [one.logout for one in rest] == written[index + 1 :]
        assert last == end
    more = (await store.end(Command(logout()))).logout
    assert [one.logout for one in (await read_log(store, partition, end))[0]] == [more]


async def test_a_position_that_the_log_does_not_have_is_said_to_be_lost(store: Store) -> None:
    """A position of another epoch, or of a missing entry: its reader must begin anew."""
    partition = store.partition_of(ADA)
    await store.end(Command(logout()))
    _, end = await read_log(store, partition)
    for lost in (
        Position("another new", end.entry),
        Position("another new", BEGINNING),
        Position(end.epoch, "1-1"),
        Position(end.epoch, "9999999999999-0"),
    ):
        with pytest.raises(PositionLost):
            await store.history(partition, lost)
    assert (await store.history(partition, end)).events == ()


async def test_each_confirmation_says_up_to_when_all_was_told(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was written before that instant comes before the confirmation."""
    monkeypatch.setattr(reader_module, "CHECK_INTERVAL", 0.02)
    monkeypatch.setattr(memory_module, "CHECK_INTERVAL", 0.02)
    clock, partition = asyncio.get_running_loop().time, store.partition_of(ADA)
    written: dict[str, float] = {}
    received: list[float] = []

    class Clocked(Listener):
        async def _note(self, *events: object) -> None:
            received.extend(clock() for _ in events)
            await super()._note(*events)  # type: ignore[arg-type]

    listener = Clocked()
    task = asyncio.create_task(listener.listen_on(store))
    await listener.confirmed([partition])
    for _ in range(100):
        receipt = await store.end(Command(logout()))
        written[receipt.logout.id] = clock()
        await asyncio.sleep(0.002)
    await listener.hear(100)
    await listener.confirmed([partition])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    heard, latest, confirmations = set[str](), 0.0, 0
    for at, event in zip(received, listener.events, strict=True):
        match event:
            case LogoutEvent(one):
                heard.add(one.id)
            case Confirmed(partitions, as_of) if partition in partitions:
                assert latest < as_of <= at
                assert {name for name, when in written.items() if when <= as_of} <= heard
                latest, confirmations = as_of, confirmations + 1
    assert confirmations > 2
