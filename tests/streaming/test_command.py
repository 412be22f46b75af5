"""``logout-hub streams``, against a transmitter, with and without a hub that receives."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from hub.access import polling_streams
from hub.access.polling_streams import PollingStreams
from hub.access.stream_notes import StreamNotes
from hub.access.transmitters import Transmitters
from hub.cli import main
from hub.core.model import SECOND
from hub.core.refusal import Refusal, SignalRefused
from hub.core.transmitters import Transmitter as Settings
from hub.metrics import Metrics
from hub.store.cancellation import cancel
from hub.store.redis import RedisStore
from tests.access.stream_support import settings_for
from tests.ssf_transmitter import PUSH, VERIFICATION, Transmitter, failing

PUSH_TABLE = 'delivery = "push"\nauthorization = "Bearer 0123456789abcdef"'
POLL_TABLE = 'delivery = "poll"\npoll_interval = 1'


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Operator:
    """Runs commands, with an issuers file that names a running transmitter."""

    def __init__(self, folder: Path, served: Transmitter) -> None:
        self.file = folder / "issuers.toml"
        self.served = served
        self.variables: dict[str, str] = {"HUB_ISSUERS": str(self.file)}
        self.configure(PUSH_TABLE)

    def configure(self, delivery: str, *more: str, access: str | None = None) -> None:
        """Write the file: one transmitter with this delivery, and more tables."""
        access = f'token = "{self.served.bearer}"' if access is None else access
        tables = [
            f'[[issuer]]\nsecret = "{"s" * 32}"',
            f'[[transmitter]]\niss = "{self.served.iss}"\naud = "{self.served.aud}"',
            delivery,
            access,
            *more,
        ]
        self.file.write_text("\n".join(tables))

    async def streams(self, *args: str) -> Ended:
        """Run ``logout-hub streams`` beside the transmitter."""

        def run() -> Ended:
            result = CliRunner(env=self.variables).invoke(main, ["streams", *args])
            if result.exception is not None and not isinstance(result.exception, SystemExit):
                raise result.exception
            return Ended(result.exit_code, result.stdout, result.stderr)

        return await asyncio.to_thread(run)


@pytest.fixture
async def served() -> AsyncIterator[Transmitter]:
    """A running transmitter."""
    async with Transmitter().serve() as transmitter:
        transmitter.long_poll = 0.5
        yield transmitter


@pytest.fixture
def operator(tmp_path: Path, served: Transmitter) -> Operator:
    """Somebody who runs commands."""
    return Operator(tmp_path, served)


@contextlib.asynccontextmanager
async def receiving(url: str, served: Transmitter) -> AsyncIterator[StreamNotes]:
    """Poll as a hub does, inside the context: verification events, and no others."""
    async with RedisStore(url, lifetime=3600 * SECOND) as store:
        notes, transmitters = StreamNotes(store), Transmitters([settings_for(served)])

        async def take(transmitter: Settings, token: str) -> None:
            claims = jwt.decode(token, options={"verify_signature": False})
            notes.accepted(transmitter, claims["iat"] * SECOND)
            event = claims["events"].get(VERIFICATION)
            if event is not None and not await notes.verified(transmitter, event.get("state")):
                raise SignalRefused(Refusal.STATE, "the state is another one")

        polling = PollingStreams(store, transmitters, take, notes, Metrics(), "replica-a")
        tasks = [asyncio.create_task(one.run()) for one in (polling, notes)]
        try:
            yield notes
        finally:
            await cancel(tasks)
            await polling.aclose()
            await transmitters.aclose()


async def test_a_stream_for_pushes_goes_through_its_life(
    operator: Operator, served: Transmitter
) -> None:
    """It is created with the header of the settings, shown, paused, resumed and deleted."""
    url = "https://hub.example/events"
    made = await operator.streams("create", "--url", url)
    assert (made.code, made.err) == (0, "")
    (stream,) = served.streams.values()
    assert made.out.startswith(f"created: {stream.id}, for 1 kinds of events\n")
    header = "Bearer 0123456789abcdef"
    assert stream.delivery == {
        "method": PUSH,
        "endpoint_url": url,
        "authorization_header": header,
    }
    assert len(stream.events_requested) > 10
    for command, status in (("pause", "paused"), ("resume", "enabled")):
        assert (await operator.streams(command)).code == 0
        assert stream.status == status
    shown = await operator.streams()
    assert shown.code == 0
    assert f"{stream.id}, enabled" in shown.out
    assert header not in shown.out + made.out
    again = await operator.streams("create", "--url", url)
    assert (again.code, again.out) == (1, "")
    assert f"there is a stream already: {stream.id}" in again.err
    assert (await operator.streams("delete")).out == f"deleted: {stream.id}\n"
    assert served.streams == {}


async def test_the_list_is_json_for_programs(
    operator: Operator, served: Transmitter, redis_url: str
) -> None:
    """With what the transmitter says, and what the hub noted; times are in seconds."""
    operator.configure(POLL_TABLE)
    operator.variables["HUB_REDIS_URL"] = redis_url
    await operator.streams("create", "--event", "https://e.example/one")
    (stream,) = served.streams.values()
    assert stream.events_requested == ["https://e.example/one"]
    await served.update_status(stream, "paused", "maintenance")
    async with RedisStore(redis_url, lifetime=3600 * SECOND) as store:
        notes = StreamNotes(store)
        notes.updated(settings_for(served), "paused", "maintenance")
        await notes.write()
    ended = await operator.streams("list", "--json")
    (shown,) = json.loads(ended.out)
    assert (shown["transmitter"], shown["delivery"]) == (served.iss, "poll")
    assert (shown["managed"], shown["problem"]) == (True, None)
    assert shown["streams"] == [
        {
            "id": stream.id,
            "url": stream.delivery["endpoint_url"],
            "events": [],
            "status": "paused",
            "reason": "maintenance",
        }
    ]
    assert shown["notes"]["status"]["text"] == "paused: maintenance"
    assert shown["notes"]["status"]["times"] == 1


async def test_a_polled_stream_is_verified(
    operator: Operator,
    served: Transmitter,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The event is seen by a replica, and the list says when, with the lag."""
    monkeypatch.setattr(polling_streams, "RENEW", 0.3)
    operator.configure(POLL_TABLE)
    operator.variables["HUB_REDIS_URL"] = redis_url
    assert (await operator.streams("create")).code == 0
    async with receiving(redis_url, served) as notes:
        verified = await operator.streams("verify", "--wait", "60")
        assert (verified.code, verified.err) == (0, "")
        assert verified.out.startswith("verified: the event came after ")
        (stream,) = served.streams.values()
        await served.wait_until(lambda: len(stream.acknowledged) == 1)
        await notes.write()
    shown = (await operator.streams()).out
    assert "  events    1 came, the last " in shown
    assert "  verified  " in shown
    assert ": replica-a" in shown


async def test_what_is_missing_is_said(
    operator: Operator, served: Transmitter, redis_url: str
) -> None:
    """Without a hub nobody polls; a push that does not arrive may have the wrong address."""
    operator.variables["HUB_REDIS_URL"] = redis_url
    operator.configure(POLL_TABLE)
    await operator.streams("create")
    polled = await operator.streams("verify", "--wait", "1")
    assert (polled.code, polled.out) == (1, "")
    assert "not verified within 1 s: no hub polls" in polled.err
    await operator.streams("delete")
    operator.configure(PUSH_TABLE)
    await operator.streams("create", "--url", "https://hub.example/events")
    pushed = await operator.streams("verify", "--wait", "1")
    assert "does the transmitter reach https://hub.example/events" in pushed.err


async def test_a_pushed_verification_is_refused_with_another_state(
    operator: Operator, served: Transmitter, redis_url: str
) -> None:
    """A hub that hears a state which nobody asked for says so to whoever waits."""
    operator.variables["HUB_REDIS_URL"] = redis_url
    async with RedisStore(redis_url, lifetime=3600 * SECOND) as store:

        async def receive(request: web.Request) -> web.Response:
            assert not await StreamNotes(store).verified(settings_for(served), "another")
            return web.json_response({"err": "invalid_state"}, status=400)

        app = web.Application()
        app.router.add_post("/events", receive)
        async with TestServer(app) as server:
            await operator.streams("create", "--url", str(server.make_url("/events")))
            (stream,) = served.streams.values()
            waiting = asyncio.create_task(operator.streams("verify", "--wait", "3"))
            await served.wait_until(lambda: bool(stream.queue))
            assert await served.push(stream) == [400]
            assert "came with another state" in (await waiting).err


@pytest.mark.parametrize(
    ("args", "table", "says"),
    [
        (["create"], PUSH_TABLE, "needs --url"),
        (["create", "--url", "https://hub.example/events"], POLL_TABLE, "takes no --url"),
        (["create", "--url", "http://hub.example/events"], PUSH_TABLE, "neither https"),
        (["pause", "--transmitter", "https://no.example"], PUSH_TABLE, "No transmitter is"),
        (["verify"], PUSH_TABLE, "HUB_REDIS_URL is not set"),
    ],
)
async def test_wrong_usage_is_told_apart(
    operator: Operator, served: Transmitter, args: list[str], table: str, says: str
) -> None:
    """It is exit code 2, one line says what is wrong, and the transmitter is not asked."""
    operator.configure(table)
    ended = await operator.streams(*args)
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err
    assert served.requests == []


async def test_several_transmitters_and_streams_are_named(
    operator: Operator, served: Transmitter
) -> None:
    """A change needs to know which is meant; the list shows all."""
    other = f'[[transmitter]]\niss = "{served.iss}"\naud = "other"\n{PUSH_TABLE}'
    operator.configure(PUSH_TABLE, other)
    unclear = await operator.streams("pause")
    assert unclear.code == 2
    assert f"{served.iss}|other" in unclear.err
    assert "set up elsewhere" in (await operator.streams()).out
    served.allows_many = True
    operator.configure(PUSH_TABLE)
    await operator.streams("create", "--url", "https://hub.example/events")
    (first,) = served.streams.values()
    served._create({"delivery": {"method": PUSH, "endpoint_url": "https://other.example/"}})
    unclear = await operator.streams("pause")
    assert unclear.code == 1
    assert "name one by --stream" in unclear.err
    assert (await operator.streams("pause", "--stream", first.id)).code == 0
    assert [one.status for one in served.streams.values()] == ["paused", "enabled"]


async def test_streams_for_others_are_left_alone(
    operator: Operator, served: Transmitter, redis_url: str
) -> None:
    """They are neither shown nor deleted, and do not prevent that one is created for us."""
    served.allows_many = True
    operator.configure(POLL_TABLE)
    operator.variables["HUB_REDIS_URL"] = redis_url
    other = served.open_polled()
    other.aud = ["https://other.example"]
    for command in (["list"], ["verify", "--wait", "1"], ["delete"], ["delete", "--stream", "s"]):
        ended = await operator.streams(*command)
        assert ended.code == 1
        assert "streams for https://other.example, and none for" in ended.out + ended.err
        assert list(served.streams) == ["s"]
    assert (await operator.streams("create")).code == 0
    (mine,) = (name for name in served.streams if name != "s")
    assert f"{mine}, enabled" in (shown := (await operator.streams("list")).out)
    assert "s, enabled" not in shown.replace(f"{mine}, enabled", "")
    assert (await operator.streams("delete")).out == f"deleted: {mine}\n"
    assert (list(served.streams), list(other.queue)) == (["s"], [])


async def test_a_transmitter_that_fails_is_named(operator: Operator, served: Transmitter) -> None:
    """The list goes on and exits with 1; a change says what was answered."""
    served.misbehave("stream", failing(503), failing(500))
    shown = await operator.streams()
    assert shown.code == 1
    assert "answered 503" in shown.out
    paused = await operator.streams("pause")
    assert (paused.code, paused.out) == (1, "")
    assert "answered 500" in paused.err
    assert len(paused.err.splitlines()) == 1
    empty = await operator.streams()
    assert empty.code == 1
    assert "run logout-hub streams create" in empty.out


async def test_what_the_transmitter_decided_is_told(
    operator: Operator, served: Transmitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream for another audience, or without subjects, would bring nothing."""
    metadata: dict[str, Any] = served.metadata() | {"default_subjects": "NONE"}
    monkeypatch.setattr(served, "metadata", lambda: metadata)
    served.aud = "https://another.example"
    made = await operator.streams("create", "--url", "https://hub.example/events")
    assert made.code == 0
    assert "its events are for https://another.example" in made.err
    assert "subjects that are added" in made.err


async def test_without_transmitters_there_is_nothing_to_do(tmp_path: Path) -> None:
    """The setting is named."""
    file = tmp_path / "issuers.toml"
    file.write_text(f'[[issuer]]\nsecret = "{"s" * 32}"')
    ended = CliRunner(env={"HUB_ISSUERS": str(file)}).invoke(main, ["streams"])
    assert ended.exit_code == 2
    assert "HUB_ISSUERS: there is no [[transmitter]]" in ended.stderr
