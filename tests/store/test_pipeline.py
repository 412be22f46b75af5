"""The way to Redis: shared round trips, and one time limit for all that wait."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from hub.core.model import SECOND, Identity, Logout, Reason, Scope, user_key
from hub.errors import Unavailable
from hub.store import pipeline as pipeline_module
from hub.store.connection import connection_pool
from hub.store.pipeline import Pipeline, Refused, Unsent
from hub.store.redis import RedisStore
from hub.store.script import Script
from hub.store.values import Command, Registration
from tests.patience import PATIENCE
from tests.redis_server import RedisServer

LIFETIME = 3600 * SECOND
SOON = 8.0
"""Seconds within which a store that is down is called so; the limit is one."""

VALUES = {"lease": "n", "lifetime_ms": 1000, "sequences": list[int]()}


def identity(number: int) -> Identity:
    """Return an identity of a user of its own."""
    issued = time.time_ns() // 1000
    return Identity(
        user=user_key("", f"user-{number}"),
        sub="",
        iss="",
        sid=f"sid-{number}",
        iat=issued,
        exp=issued + 600 * SECOND,
    )


@pytest.fixture
async def store(own_redis: RedisServer) -> AsyncIterator[RedisStore]:
    """A store on a Redis that may be killed."""
    async with RedisStore(own_redis.url, lifetime=LIFETIME) as made:
        yield made


def portions(people: list[Identity]) -> list[list[Identity]]:
    """Return people in parts that a busy machine, too, serves within the limit."""
    return [people[start : start + 100] for start in range(0, len(people), 100)]


async def fill(store: RedisStore, count: int) -> list[Identity]:
    """Register so many sessions, each of a user of its own and with a device of its own."""
    people = [identity(number) for number in range(count)]
    for some in portions(people):
        await asyncio.gather(
            *(store.register(Registration(who, f"of {who.sid}", "")) for who in some)
        )
    return people


async def assert_each_gets_its_own(store: RedisStore, people: list[Identity]) -> None:
    """Look at all at once, and find that no answer went to another call."""
    found = await asyncio.gather(*(store.look(who) for who in people))
    devices = [state.session and state.session.device for state in found]
    assert devices == [f"of {who.sid}" for who in people]


async def test_calls_made_together_share_round_trips(
    unhurried: None, store: RedisStore, own_redis: RedisServer
) -> None:
    """A thousand calls at once reach Redis in a few reads, and each gets its own answer."""
    people = await fill(store, 1000)
    with own_redis.client() as client:
        before = client.info("stats")
        await assert_each_gets_its_own(store, people)
        after = client.info("stats")
    commands = after["total_commands_processed"] - before["total_commands_processed"]
    reads = after["total_reads_processed"] - before["total_reads_processed"]
    assert commands >= 1000
    assert reads < 250


async def test_a_call_alone_does_not_wait_for_company(store: RedisStore) -> None:
    """Sharing costs a lonely call no pause."""
    (who,) = await fill(store, 1)
    took = []
    for _ in range(50):
        began = time.monotonic()
        await store.look(who)
        took.append(time.monotonic() - began)
    assert min(took) < 0.02  # a busy machine holds up some, a pause all


async def follow_to_the_end(store: RedisStore) -> None:
    """Follow the log for as long as that can be done."""
    async for _ in store.follow():
        pass


async def test_a_killed_redis_is_unavailable_soon_and_comes_back(
    store: RedisStore, own_redis: RedisServer
) -> None:
    """Calls fail within the limit while Redis is down, and all work once it is back."""
    people = await fill(store, 100)
    logout = Logout(id="id", user=people[0].user, scope=Scope.ALL, reason=Reason.USER)
    own_redis.kill()
    for call in (
        store.look(people[0]),
        store.register(Registration(people[0], "", "")),
        store.sessions(people[0].user),
        store.end(Command(logout)),
        store.renew("replica"),
        follow_to_the_end(store),
    ):
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await call
        assert time.monotonic() - began < SOON
    own_redis.start()
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await store.look(people[0])
            except Unavailable:
                await asyncio.sleep(0.05)
            else:
                break
    for _ in range(20):
        await assert_each_gets_its_own(store, people)
        await store.renew("replica")


async def test_a_restart_between_two_calls_fails_at_most_the_first_moment(
    store: RedisStore, own_redis: RedisServer
) -> None:
    """Connections that died unseen are replaced, not handed to one call after the other."""
    people = await fill(store, 300)
    own_redis.kill()
    own_redis.start()
    first = await asyncio.gather(*(store.look(who) for who in people), return_exceptions=True)
    assert {type(answer) for answer in first if isinstance(answer, Exception)} <= {Unavailable}
    for _ in range(5):
        await assert_each_gets_its_own(store, people)


async def test_a_hung_redis_refuses_all_that_wait_within_the_limit(
    store: RedisStore, own_redis: RedisServer
) -> None:
    """A thousand calls to a Redis that hangs fail together, not each in its turn."""
    people = await fill(store, 1000)
    own_redis.pause()
    began = time.monotonic()
    answers = await asyncio.gather(*(store.look(who) for who in people), return_exceptions=True)
    assert time.monotonic() - began < SOON
    assert {type(answer) for answer in answers} == {Unavailable}
    own_redis.resume()
    for some in portions(people):
        await assert_each_gets_its_own(store, some)


async def test_a_connection_that_trickles_is_given_up_in_time(own_redis: RedisServer) -> None:
    """A few bytes now and then keep a connection busy, and still hold nobody for long."""
    ended: list[asyncio.Task[None]] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, slow: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(30 if slow else 65536):
                writer.write(data)
                await writer.drain()
                await asyncio.sleep(0.1 if slow else 0)
        writer.close()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_redis, to_redis = await asyncio.open_connection("127.0.0.1", own_redis.port)
        ended.append(asyncio.create_task(pump(from_redis, writer, slow=True)))
        ended.append(asyncio.create_task(pump(reader, to_redis, slow=False)))

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with RedisStore(f"redis://127.0.0.1:{port}/0", lifetime=LIFETIME) as store:
        people = [identity(number) for number in range(100)]
        began = time.monotonic()
        answers = await asyncio.gather(*(store.look(who) for who in people), return_exceptions=True)
        assert time.monotonic() - began < SOON
        assert {type(answer) for answer in answers} == {Unavailable}
    server.close()
    own_redis.kill()
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*ended)


async def test_a_late_answer_is_not_taken_for_the_next_ones(
    store: RedisStore, own_redis: RedisServer
) -> None:
    """What Redis answers after the limit goes to nobody, above all not to another user."""
    people = await fill(store, 40)
    own_redis.pause()
    late = await asyncio.gather(*(store.look(who) for who in people[:20]), return_exceptions=True)
    assert {type(answer) for answer in late} == {Unavailable}
    own_redis.resume()
    for _ in range(10):
        await assert_each_gets_its_own(store, people[20:])


async def test_a_logout_to_a_hung_redis_is_not_claimed(
    store: RedisStore, own_redis: RedisServer
) -> None:
    """A logout that was not confirmed is unavailable, and asked again it is done once."""
    (who,) = await fill(store, 1)
    logout = Logout(id="id", user=who.user, scope=Scope.ALL, reason=Reason.USER)
    own_redis.pause()
    with pytest.raises(Unavailable):
        await store.end(Command(logout, key="k"))
    own_redis.resume()
    first = await store.end(Command(logout, key="k"))
    again = await store.end(Command(logout, key="k"))
    assert (first.logout, first.sessions) == (again.logout, again.sessions)
    assert [outcome.sid for outcome in first.sessions] == [who.sid]
    with own_redis.client() as client:
        logged = sum(client.xlen(key) for key in client.scan_iter("hub:*:log"))
    assert logged == 1


async def test_forgotten_scripts_are_sent_again(
    unhurried: None, store: RedisStore, own_redis: RedisServer
) -> None:
    """A Redis that lost its scripts is given them, within the same call, once and in order."""
    people = await fill(store, 300)
    with own_redis.client() as client:
        for _ in range(3):
            client.script_flush()
            await assert_each_gets_its_own(store, people)
        client.script_flush()
        logout = Logout(id="id", user=people[0].user, scope=Scope.ALL, reason=Reason.USER)
        receipt = await store.end(Command(logout))
        assert [outcome.sid for outcome in receipt.sessions] == [people[0].sid]
        assert sum(client.xlen(key) for key in client.scan_iter("hub:*:log")) == 1


async def test_a_refused_script_fails_alone(
    unhurried: None, store: RedisStore, own_redis: RedisServer
) -> None:
    """One call that Redis refuses does not fail those that travel with it."""
    people = await fill(store, 50)
    with own_redis.client() as client:
        (key,) = client.scan_iter("hub:*:session:*user-7:*")
        client.set(key, "not a hash")
    answers = await asyncio.gather(*(store.look(who) for who in people), return_exceptions=True)
    failed = [number for number, answer in enumerate(answers) if isinstance(answer, Exception)]
    assert failed == [7]
    assert isinstance(answers[7], Unavailable)


async def test_a_caller_that_goes_away_does_not_spoil_the_others(
    unhurried: None, store: RedisStore, own_redis: RedisServer
) -> None:
    """Cancelled calls are dropped; those that travel with them are answered."""
    people = await fill(store, 200)
    tasks = [asyncio.create_task(store.look(who)) for who in people]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(answer) for answer in answers[::2]} == {asyncio.CancelledError}
    assert not any(isinstance(answer, BaseException) for answer in answers[1::2])
    await assert_each_gets_its_own(store, people)


async def test_the_backlog_is_bounded(
    own_redis: RedisServer, unhurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than may wait is refused at once, and waits for no time limit."""
    monkeypatch.setattr(pipeline_module, "BACKLOG", 50)
    pipeline = Pipeline(connection_pool(own_redis.url, PATIENCE))
    script = Script("clock", "renew")
    own_redis.pause()
    calls = [asyncio.create_task(pipeline.call(script, ["k"], VALUES)) for _ in range(60)]
    done, waiting = await asyncio.wait(calls, timeout=0.3)
    assert len(done) == 10
    for call in done:
        assert isinstance(call.exception(), Unavailable)
    own_redis.resume()
    assert all(await asyncio.gather(*waiting))
    await pipeline.close()


async def test_closing_refuses_what_waits(own_redis: RedisServer, unhurried: None) -> None:
    """A hub that stops leaves nobody waiting for an answer."""
    pipeline = Pipeline(connection_pool(own_redis.url, PATIENCE))
    script = Script("clock", "renew")
    own_redis.pause()
    calls = [asyncio.create_task(pipeline.call(script, ["k"], VALUES)) for _ in range(500)]
    await asyncio.sleep(0.05)
    began = time.monotonic()
    await pipeline.close()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unavailable}
    assert time.monotonic() - began < PATIENCE / 2
    own_redis.resume()


async def test_errors_do_not_tell_the_address_of_redis() -> None:
    """The URL may hold a password, and what a caller is told does not."""
    async with RedisStore("redis://:sesame@127.0.0.1:1/0", lifetime=LIFETIME) as store:
        with pytest.raises(Unavailable) as caught:
            await store.look(identity(1))
    assert "sesame" not in f"{caught.value!r} {caught.value} {caught.value.detail}"


@pytest.mark.parametrize(
    "text",
    [
        "READONLY You can't write against a read only replica.",
        "ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write.",
    ],
    ids=["redis 7", "redis 6"],
)
async def test_a_server_that_was_demoted_is_left(own_redis: RedisServer, text: str) -> None:
    """Another connection looks the master up again, whatever form the error has."""
    pipeline = Pipeline(connection_pool(own_redis.url))
    await pipeline.command("PING")
    first = pipeline.generation
    with pytest.raises(Refused):
        await pipeline.command("EVAL", "return redis.error_reply(ARGV[1])", 0, text)
    await pipeline.command("PING")
    assert pipeline.generation is not first
    await pipeline.close()


@pytest.mark.parametrize("loop", [None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_stall_while_a_connection_begins_is_survived(
    own_redis: RedisServer, loop: Callable[[], asyncio.AbstractEventLoop] | None
) -> None:
    """Giving up cancels an opening that has not taken its first step; the next call connects."""

    async def stall() -> None:
        pipeline, script = Pipeline(connection_pool(own_redis.url)), Script("clock", "renew")
        assert await pipeline.call(script, ["k"], VALUES)
        for turns in range(6):
            pipeline.drop_connection()
            call = asyncio.create_task(pipeline.call(script, ["k"], VALUES))
            for _ in range(turns):
                await asyncio.sleep(0)
            asyncio.get_running_loop().call_soon(time.sleep, 1.2)
            await asyncio.gather(call, return_exceptions=True)
            async with asyncio.timeout(PATIENCE):
                assert await pipeline.call(script, ["k"], VALUES)
        await pipeline.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(stall())


@pytest.mark.parametrize("loop", [None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_closing_leaves_no_connection_however_far_its_opening_is(
    own_redis: RedisServer, loop: Callable[[], asyncio.AbstractEventLoop] | None
) -> None:
    """A closed pipeline is closed: an opening ends with it, and no later call opens another."""

    async def close_after(turns: int) -> None:
        pipeline, script = Pipeline(connection_pool(own_redis.url)), Script("clock", "renew")
        call = asyncio.create_task(pipeline.call(script, ["k"], VALUES))
        for _ in range(turns):
            await asyncio.sleep(0)
        await pipeline.close()
        await asyncio.gather(call, return_exceptions=True)
        with pytest.raises(Unsent):
            await pipeline.call(script, ["k"], VALUES)
        await asyncio.sleep(0)
        assert pipeline.generation is None

    async def close_at_each_turn() -> None:
        for turns in range(60):
            await close_after(turns)

    with own_redis.client() as client, asyncio.Runner(loop_factory=loop) as runner:
        before = client.info("clients")["connected_clients"]
        runner.run(close_at_each_turn())
        deadline = time.monotonic() + 10
        while client.info("clients")["connected_clients"] > before:
            assert time.monotonic() < deadline
            time.sleep(0.05)
