"""Who is admitted to the feed, for how long, and that nobody who is slow keeps others waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hub.access import feed
from hub.access.feed import Feed
from hub.core.model import SECOND, Logout, Reason, Scope, user_key
from hub.errors import Unavailable
from hub.metrics import Metrics
from hub.store.memory import MemoryStore
from hub.store.values import Command
from tests.access.test_guards import Stream
from tests.patience import PATIENCE
from tests.realtime.raw import eventually

LIFETIME = 3600 * SECOND


class Stuck(Stream):
    """A response whose client does not read."""

    async def drain(self) -> None:
        """Wait for ever."""
        await asyncio.Event().wait()


@asynccontextmanager
async def running(store: MemoryStore, most: int = 100) -> AsyncIterator[Feed]:
    """Run the feed of a store for the length of the context."""
    made = Feed(store, Metrics(), LIFETIME, most, is_wanted=False)
    task = asyncio.create_task(made.run())
    try:
        async with following(store, made):
            yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def following(store: MemoryStore, made: Feed) -> AsyncIterator[None]:
    """Pass the events of a store on to a feed."""

    async def follow() -> None:
        async for event in store.follow():
            made.take(event)

    task = asyncio.create_task(follow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def begin(made: Feed, stream: Stream, last_id: str = "") -> asyncio.Task[None]:
    """Let a guard in."""
    await made.check_room(last_id)
    since = asyncio.get_running_loop().time()
    task = asyncio.create_task(made.serve(stream, since, last_id))
    await asyncio.sleep(0)
    return task


@pytest.fixture
async def store() -> MemoryStore:
    """A store with a logout."""
    made = MemoryStore(lifetime=LIFETIME)
    logout = Logout("id", user_key("", "ada"), Scope.ALL, Reason.USER)
    await made.end(Command(logout=logout))
    return made


async def test_guards_that_do_not_read_keep_nobody_waiting(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have their turn for a while, and then others have it."""
    monkeypatch.setattr(feed, "LONGEST_CATCH_UP", 0.1)
    async with running(store) as made:
        tasks = [await begin(made, Stuck()) for _ in range(feed.CATCH_UPS_AT_ONCE)]
        stream = Stream()
        tasks.append(await begin(made, stream))
        await stream.until(b"event: ready")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_response_ends_after_a_while(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a guard's clock is compared with the store's anew."""
    monkeypatch.setattr(feed, "LONGEST", 0.1)
    async with running(store) as made, asyncio.timeout(PATIENCE):
        await (await begin(made, Stream()))


@pytest.mark.parametrize("waits_for", ["log", "turn"])
async def test_a_guard_that_leaves_while_it_waits_is_gone(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, waits_for: str
) -> None:
    """Whether it waits until the replica has read the log, or for its turn, it makes room."""
    if waits_for == "log":
        monkeypatch.setattr(store, "history", lambda *given: asyncio.Event().wait())
    else:
        monkeypatch.setattr(feed, "CATCH_UPS_AT_ONCE", 0)
    async with running(store) as made, asyncio.timeout(PATIENCE):
        stream = Stream()
        task = await begin(made, stream)
        await asyncio.sleep(0)
        stream.ended.set()
        await task
        assert not made._streams


async def test_there_is_room_for_so_many(store: MemoryStore) -> None:
    """And for none once the replica shuts down, which ends every response."""
    async with running(store, most=1) as made, asyncio.timeout(PATIENCE):
        stream = Stream()
        task = await begin(made, stream)
        with pytest.raises(Unavailable):
            await made.check_room("")
        await stream.until(b"event: ready")
        made.close()
        await task
        with pytest.raises(Unavailable):
            await made.check_room("")


async def test_several_that_have_found_room_for_one_are_no_more_than_one(
    store: MemoryStore,
) -> None:
    """Between the look and the response others come."""
    async with running(store, most=1) as made, asyncio.timeout(PATIENCE):
        for _ in range(2):
            await made.check_room("")
        stream, late = Stream(), Stream()
        task = asyncio.create_task(made.serve(stream, 0, ""))
        await stream.until(b"event: ready")
        await made.serve(late, 0, "")
        assert not late.text
        task.cancel()


async def test_a_guard_that_can_go_elsewhere_does_not_wait_for_a_log_to_be_read(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that knows nothing yet does, and is sent a sign of life meanwhile."""
    monkeypatch.setattr(feed, "SETTLE_TIMEOUT", 0.05)
    monkeypatch.setattr(feed, "COMMENT_EVERY", 0.05)
    may_read = asyncio.Event()
    history = store.history

    async def read_late(*given: Any) -> Any:
        await may_read.wait()
        return await history(*given)

    monkeypatch.setattr(store, "history", read_late)
    async with running(store) as made, asyncio.timeout(PATIENCE):
        with pytest.raises(Unavailable):
            await made.check_room("an id")
        stream = Stream()
        task = await begin(made, stream)
        await stream.until(b":\n\n")
        assert b"event" not in stream.text
        may_read.set()
        await stream.until(b"event: ready")
        assert b"snapshot" in stream.text
        made.close()
        await task


async def test_a_replica_that_hears_nothing_sends_guards_elsewhere(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one may hear; here they are admitted again once it hears, too."""
    monkeypatch.setattr(feed, "LONGEST_SILENCE", 2.0)
    monkeypatch.setattr(feed, "CHECK_EVERY", 0.05)
    made = Feed(store, Metrics(), LIFETIME, 100, is_wanted=False)
    run = asyncio.create_task(made.run())
    async with asyncio.timeout(PATIENCE):
        async with following(store, made):
            stream = Stream()
            served = await begin(made, stream)
            await stream.until(b"event: confirmed")
            assert not served.done()
        await served
        with pytest.raises(Unavailable):
            await made.check_room("")
        async with following(store, made):
            await eventually(lambda: not made._is_silent())
            task = await begin(made, stream := Stream())
            await stream.until(b"event: ready")
            task.cancel()
    run.cancel()
    await asyncio.gather(run, task, return_exceptions=True)
