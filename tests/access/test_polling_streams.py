"""Polls of a transmitter by several replicas on one Redis, or on the embedded store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from hub.access import polling_streams, stream_poller
from hub.access.polling_streams import PollingStreams
from hub.access.stream_notes import Kind, StreamNotes
from hub.access.transmitters import Transmitters
from hub.core.model import SECOND
from hub.core.refusal import SignalEarly
from hub.metrics import Metrics
from hub.store.base import Store
from hub.store.cancellation import cancel
from hub.store.redis import RedisStore
from hub.store.values import Note
from tests.access.stream_support import Taker, credentials, settings_for
from tests.patience import PATIENCE
from tests.redis_server import RedisServer
from tests.ssf_transmitter import Stream, Transmitter, failing, huge, silent


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make replicas take turns and try again sooner than they do in life."""
    monkeypatch.setattr(polling_streams, "HOLD", 1.5)
    monkeypatch.setattr(polling_streams, "RENEW", 0.3)
    monkeypatch.setattr(stream_poller, "FIRST_PAUSE", 0.1)


@pytest.fixture
async def served() -> AsyncIterator[Transmitter]:
    """A running transmitter with a stream for polls."""
    async with Transmitter().serve() as transmitter:
        transmitter.long_poll = 1.0
        transmitter.open_polled()
        yield transmitter


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[RedisStore]:
    """A store on Redis."""
    async with RedisStore(redis_url, lifetime=3600 * SECOND) as made:
        yield made


class Replica:
    """One replica that polls: its task, and what it has taken."""

    def __init__(self, store: Store, served: Transmitter, **changes: Any) -> None:
        self.taker = Taker()
        self.transmitters = Transmitters([settings_for(served, **changes)])
        self.notes = StreamNotes(store)
        self.streams = PollingStreams(
            store, self.transmitters, self.taker.take, self.notes, Metrics(), "r"
        )
        self.tasks = [asyncio.create_task(one.run()) for one in (self.streams, self.notes)]

    async def stop(self) -> None:
        """Stop in order."""
        await self.kill()
        await self.streams.aclose()
        await self.transmitters.aclose()

    async def kill(self) -> None:
        """Stop without giving up anything."""
        await cancel(self.tasks)


@contextlib.asynccontextmanager
async def running(store: Store, served: Transmitter, **changes: Any) -> AsyncIterator[Replica]:
    """Run a replica inside the context."""
    replica = Replica(store, served, **changes)
    try:
        yield replica
    finally:
        await replica.stop()


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not await is_so():  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.05)


def stream_of(served: Transmitter) -> Stream:
    """Return the only stream."""
    (stream,) = served.streams.values()
    return stream


async def acknowledged(served: Transmitter, *jtis: str) -> None:
    """Wait until events are acknowledged."""
    await served.wait_until(lambda: {*jtis} <= {*stream_of(served).acknowledged}, PATIENCE)


async def test_what_is_written_is_acknowledged(served: Transmitter, store: RedisStore) -> None:
    """Each event is taken once, those of before and those that come, and the queue is empty."""
    early = [await served.emit() for _ in range(3)]
    async with running(store, served) as replica:
        await acknowledged(served, *early)
        late = await served.emit()
        await acknowledged(served, late)
        assert replica.taker.written == [*early, late]
    assert stream_of(served).queue == {}
    assert all(poll["maxEvents"] <= stream_poller.MOST for poll in served.polls)


async def test_more_events_than_are_asked_for_at_once_are_all_taken(
    served: Transmitter, store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One poll after the other, without a pause."""
    monkeypatch.setattr(stream_poller, "MOST", 3)
    sent = [await served.emit() for _ in range(10)]
    async with running(store, served, poll_interval=3600.0) as replica:
        await acknowledged(served, *sent)
        assert replica.taker.written == sent
    assert max(poll["maxEvents"] for poll in served.polls) == 3


async def test_what_is_not_written_is_not_acknowledged(
    served: Transmitter, store: RedisStore
) -> None:
    """An event that the store did not take is acknowledged later, once it did."""
    async with running(store, served) as replica:
        replica.taker.is_down = True
        jti = await served.emit()
        await served.wait_until(lambda: len(served.polls) > 3, PATIENCE)
        assert stream_of(served).acknowledged == []
        assert stream_of(served).errors == {}
        replica.taker.is_down = False
        await acknowledged(served, jti)
        assert replica.taker.written.count(jti) == 1


async def test_events_that_wait_for_the_store_hold_up_no_others(
    served: Transmitter, store: RedisStore
) -> None:
    """While one cannot be written, another one is, and is acknowledged."""
    async with running(store, served) as replica:
        take, stuck = replica.taker.take, await served.emit()

        async def take_others(transmitter: Any, token: str) -> None:
            replica.taker.is_down = token == stream_of(served).queue.get(stuck)
            await take(transmitter, token)

        replica.taker.take = take_others  # type: ignore[method-assign]
        replica.streams._take = take_others
        other = await served.emit()
        await acknowledged(served, other)
        await served.wait_until(lambda: len(served.polls) > 5, PATIENCE)
        assert stream_of(served).acknowledged.count(other) == 1


async def test_malformed_events_are_reported(served: Transmitter, store: RedisStore) -> None:
    """What is no token gets an error, which the transmitter keeps; the others are taken."""
    stream = stream_of(served)
    await served.enqueue(stream, "bad", "no token")
    await served.enqueue(stream, "odd", {"no": "text"})  # type: ignore[arg-type]
    await served.enqueue(stream, "big", "x" * 70_000)
    jti = await served.emit()
    async with running(store, served) as replica:
        await acknowledged(served, jti)
        await served.wait_until(lambda: len(stream.errors) == 3, PATIENCE)
        assert replica.taker.written == [jti]
    assert {error["err"] for error in stream.errors.values()} == {"invalid_request"}
    assert all(error["description"] for error in stream.errors.values())


async def test_events_that_are_a_little_early_are_kept(
    served: Transmitter, store: RedisStore
) -> None:
    """They are neither acknowledged nor refused until their time has come."""
    async with running(store, served) as replica:
        take, is_early = replica.taker.take, True

        async def take_in_time(transmitter: Any, token: str) -> None:
            if is_early:
                raise SignalEarly("from the future (iat)", retry_after=1)
            await take(transmitter, token)

        replica.streams._take = take_in_time
        jti = await served.emit()
        await served.wait_until(lambda: len(served.polls) > 3, PATIENCE)
        assert list(stream_of(served).queue) == [jti]
        assert stream_of(served).errors == {}
        is_early = False
        await acknowledged(served, jti)
        assert replica.taker.written == [jti]


async def test_a_transmitter_that_repeats_itself_is_not_polled_without_a_pause(
    served: Transmitter, store: RedisStore
) -> None:
    """What comes though it was acknowledged is acknowledged again, at the usual interval."""
    served.keeps_sending = True
    jti = await served.emit()
    async with running(store, served, poll_interval=3600.0):
        await served.wait_until(lambda: stream_of(served).acknowledged == [jti], PATIENCE)
        await asyncio.sleep(1)
    assert len(served.polls) == 2


async def test_events_are_taken_in_any_order(served: Transmitter, store: RedisStore) -> None:
    """Whatever the transmitter sends first."""
    served.reverses = True
    sent = [await served.emit() for _ in range(3)]
    async with running(store, served) as replica:
        await acknowledged(served, *sent)
        assert sorted(replica.taker.written) == sorted(sent)


async def test_one_replica_polls_and_another_goes_on_when_it_dies(
    served: Transmitter, store: RedisStore
) -> None:
    """What the first had not acknowledged comes to the second, when the hold has lapsed."""
    first = Replica(store, served)
    await acknowledged(served, await served.emit())
    async with running(store, served) as second:
        first.taker.is_down = True
        stuck = await served.emit()
        await served.wait_until(lambda: len(served.polls) > 5, PATIENCE)
        assert second.taker.written == []
        await first.kill()
        await acknowledged(served, stuck)
        assert second.taker.written == [stuck]
    await first.stop()


async def test_a_replica_that_stops_gives_way_at_once(
    served: Transmitter, store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one need not wait until the hold lapses."""
    monkeypatch.setattr(polling_streams, "HOLD", 3600.0)
    async with running(store, served) as first:
        await acknowledged(served, await served.emit())
        assert first.taker.written
    async with running(store, served) as second:
        jti = await served.emit()
        await acknowledged(served, jti)
        assert jti in second.taker.written


async def test_a_replica_that_loses_the_store_stops_until_it_is_back(
    served: Transmitter, own_redis: RedisServer
) -> None:
    """Without a hold nobody polls; when the store answers again, polling goes on."""
    async with (
        RedisStore(own_redis.url, lifetime=3600 * SECOND) as store,
        running(store, served, poll_interval=1.0) as replica,
    ):
        await acknowledged(served, await served.emit())
        own_redis.kill()
        replica.taker.is_down = True
        await asyncio.sleep(polling_streams.HOLD + 3)
        count = len(served.polls)
        await asyncio.sleep(2)
        assert len(served.polls) == count
        own_redis.start()
        replica.taker.is_down = False
        await acknowledged(served, await served.emit())


async def test_a_new_access_token_is_got_when_the_old_one_is_refused(
    served: Transmitter, store: RedisStore
) -> None:
    """Polling goes on after all tokens were revoked."""
    async with running(store, served, access=credentials(served)):
        await acknowledged(served, await served.emit())
        served.revoke_tokens()
        await acknowledged(served, await served.emit())
    assert served.count("token") == 2
    assert ("POST", "poll", 401) in served.requests


async def test_retry_after_is_honoured(served: Transmitter, store: RedisStore) -> None:
    """After a 429 the transmitter is left alone for as long as it says."""
    served.misbehave("poll", failing(429, retry_after="3"))
    loop = asyncio.get_running_loop()
    async with running(store, served):
        await served.wait_until(lambda: served.count("poll") == 1, PATIENCE)
        refused_at = loop.time()
        await served.wait_until(lambda: len(served.polls) == 1, PATIENCE)
        assert loop.time() - refused_at > 2


@pytest.mark.parametrize("wrong", [failing(500), failing(503), huge(), failing(404), silent()])
async def test_polling_survives_wrong_answers(
    served: Transmitter, store: RedisStore, wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each kind of failure the events come, and operators can see what was wrong."""
    monkeypatch.setattr("hub.access.transmitter.LONG_POLL", 2.0)
    served.misbehave("poll", wrong, wrong)
    jti = await served.emit()
    async with running(store, served) as replica:
        await acknowledged(served, jti)
        (client,) = replica.transmitters.clients

        async def is_noted() -> bool:
            return {Kind.FAILED, Kind.POLLED} <= {*await replica.notes.read(client.transmitter)}

        await until(is_noted)
        failed = (await replica.notes.read(client.transmitter))[Kind.FAILED]
    assert "POST http://127.0.0.1" in failed.text


@pytest.mark.parametrize("is_there", [True, False], ids=["it fails", "nobody is there"])
async def test_a_stream_that_moved_is_found_again(
    served: Transmitter, store: RedisStore, *, is_there: bool
) -> None:
    """Once its old address has failed for a while."""
    stream = stream_of(served)
    new, wrong = stream.delivery["endpoint_url"], failing(503)
    passed, has_moved = [], False

    async def pass_on(request: web.Request) -> web.StreamResponse:
        if has_moved:
            return await wrong(request)
        passed.append(request)
        headers = {name: request.headers[name] for name in ("Authorization", "Content-Type")}
        async with (
            aiohttp.ClientSession() as http,
            http.post(new, data=await request.read(), headers=headers) as answer,
        ):
            return web.json_response(await answer.json(), status=answer.status)

    app = web.Application()
    app.router.add_post("/poll", pass_on)
    async with TestServer(app) as old:
        stream.delivery["endpoint_url"] = str(old.make_url("/poll"))
        async with running(store, served):
            await acknowledged(served, await served.emit())
            assert passed
            has_moved, stream.delivery["endpoint_url"] = True, new
            if not is_there:
                await old.close()
            await acknowledged(served, await served.emit())


async def test_a_transmitter_that_asks_for_patience_is_not_asked_for_its_streams(
    served: Transmitter, store: RedisStore
) -> None:
    """Several answers 429 in a row say nothing about the address."""
    served.misbehave("poll", *[failing(429)] * 4)
    async with running(store, served):
        await acknowledged(served, await served.emit())
    assert served.count("stream") == 1


async def noted_failure(replica: Replica) -> Note:
    """Return what operators are told of a poll that failed, once they are."""
    (client,) = replica.transmitters.clients

    async def is_noted() -> bool:
        return Kind.FAILED in await replica.notes.read(client.transmitter)

    await until(is_noted)
    return (await replica.notes.read(client.transmitter))[Kind.FAILED]


async def test_a_stream_that_is_created_later_is_polled(
    served: Transmitter, store: RedisStore
) -> None:
    """Until then operators are told that there is none."""
    stream = served.streams.pop("s")
    async with running(store, served) as replica:
        failed = await noted_failure(replica)
        assert "logout-hub streams create" in failed.text
        served.streams["s"] = stream
        await acknowledged(served, await served.emit())


def with_stream(served: Transmitter, name: str, aud: Any) -> Stream:
    """Return another stream of the transmitter for polls, for somebody."""
    served.allows_many = True
    (first,) = (one for one in served.streams.values() if one.id == "s")
    url = first.delivery["endpoint_url"].removesuffix("s") + name
    stream = Stream(name, first.delivery | {"endpoint_url": url}, [], aud=aud)
    served.streams[name] = stream
    return stream


@pytest.mark.parametrize(
    ("first", "mine"),
    [
        ("https://other.example", "https://hub.example"),
        (["https://other.example"], ["https://more.example", "https://hub.example"]),
        (None, "https://hub.example"),
        ("https://other.example", None),
        ("https://other.example", []),
    ],
    ids=str,
)
async def test_of_several_streams_the_one_for_us_is_polled(
    served: Transmitter, store: RedisStore, first: Any, mine: Any
) -> None:
    """The one with our aud, else one that states none; what is for others stays with them."""
    other = stream_of(served)
    other.aud = first
    ours = with_stream(served, "mine", mine)
    jti = await served.emit()
    async with running(store, served) as replica:
        await served.wait_until(lambda: jti in ours.acknowledged, PATIENCE)
        assert replica.taker.written == [jti]
    assert (list(other.queue), other.errors) == ([jti], {})


async def test_nothing_is_polled_if_all_streams_are_for_others(
    served: Transmitter, store: RedisStore
) -> None:
    """Operators are told whom they are for, and polling begins once one is for us."""
    stream = stream_of(served)
    stream.aud = "https://other.example"
    await served.emit()
    async with running(store, served) as replica:
        failed = await noted_failure(replica)
        assert "streams for https://other.example, and none for https://hub.ex" in failed.text
        assert (served.polls, stream.errors) == ([], {})
        stream.aud = ["https://hub.example"]
        await acknowledged(served, await served.emit())


async def test_replaced_transmitters_are_polled_by_their_new_settings(
    served: Transmitter, store: RedisStore
) -> None:
    """One that is taken out is let go, and one that comes back is polled again."""
    async with running(store, served) as replica:
        await acknowledged(served, await served.emit())
        await replica.transmitters.replace([])
        await until(is_free(replica))
        await replica.transmitters.replace([settings_for(served, poll_interval=2.0)])
        await acknowledged(served, await served.emit())


def is_free(replica: Replica) -> Callable[[], Awaitable[bool]]:
    """Return a question: does the replica hold nothing?"""

    async def ask() -> bool:
        return not replica.streams._held

    return ask
