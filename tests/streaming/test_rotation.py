"""A transmitter changes its keys while a hub polls it, or gets its pushes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from hub.core import key_schedule
from tests.site import SECRET, Replica, running, settings
from tests.ssf_transmitter import POLL, PUSH, Stream, Transmitter

HEADER = "Bearer 0123456789abcdef"


@contextlib.asynccontextmanager
async def receiving(
    folder: Path, served: Transmitter, *lines: str, method: str = POLL
) -> AsyncIterator[tuple[Replica, Stream]]:
    """Run a hub inside the context, to which a transmitter sends as these lines say."""
    file = folder / "issuers.toml"
    named = [f'iss = "{served.iss}"', f'aud = "{served.aud}"', *lines]
    file.write_text("\n".join([f'[[issuer]]\nsecret = "{SECRET}"\n[[transmitter]]', *named]))
    stream = Stream("s", {}, [])
    served.streams["s"] = stream
    async with running(settings(issuers=str(file), jwt_secret=None)) as hub:
        delivery = {"method": method, "endpoint_url": f"{hub.url}/events"}
        if method == PUSH:
            delivery["authorization_header"] = HEADER
        served._change(stream, {"delivery": delivery}, replaces=True)
        yield hub, stream


async def emit(served: Transmitter) -> str:
    """Send an event about somebody, and return its ``jti``."""
    return await served.emit(sub_id={"format": "iss_sub", "iss": served.iss, "sub": "ada"})


async def forge(served: Transmitter, stream: Stream, jti: str) -> None:
    """Queue an event that is signed with a key which nobody publishes."""
    forger = Transmitter()
    forger.iss = served.iss
    await served.enqueue(stream, jti, forger.sign(forger.claims("e", {})))


async def test_a_new_key_is_fetched_for_its_first_event(tmp_path: Path) -> None:
    """Though the keys were fetched just before: nobody has looked for another one."""
    async with (
        Transmitter().serve() as served,
        receiving(tmp_path, served, 'delivery = "push"', method=PUSH) as (_, stream),
    ):
        await emit(served)
        assert await served.push(stream) == [202]
        served.rotate_keys()
        await emit(served)
        assert await served.push(stream) == [202]


async def test_keys_are_fetched_hourly_though_no_event_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first event for hours is not verified by a key that was withdrawn meanwhile."""
    passed = 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed)
    monkeypatch.setattr("hub.access.keys.time", clock)
    async with (
        Transmitter().serve() as served,
        receiving(tmp_path, served, 'delivery = "push"', method=PUSH) as (_, stream),
    ):
        await emit(served)
        assert await served.push(stream) == [202]
        fetched = served.count("jwks")
        passed = 5 * key_schedule.KEY_SET_LIFETIME
        await served.wait_until(lambda: served.count("jwks") > fetched)


async def test_polled_events_wait_until_new_keys_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are neither acknowledged nor refused while the keys may not be fetched again."""
    monkeypatch.setattr(key_schedule, "COOL_DOWN", 3600.0)
    async with Transmitter().serve() as served:
        lines = ('delivery = "poll"', f'token = "{served.bearer}"', "poll_interval = 1")
        async with receiving(tmp_path, served, *lines) as (_, stream):
            first = await emit(served)
            await served.wait_until(lambda: first in stream.acknowledged)
            await forge(served, stream, "forged at first")
            await served.wait_until(lambda: "forged at first" in stream.errors)
            stream.errors.clear()
            served.rotate_keys()
            second = await emit(served)
            polls = len(served.polls)
            await served.wait_until(lambda: len(served.polls) > polls + 1)
            assert (stream.errors, second in stream.acknowledged) == ({}, False)
            monkeypatch.setattr(key_schedule, "COOL_DOWN", 0.0)
            await served.wait_until(lambda: second in stream.acknowledged)
            await forge(served, stream, "forged")
            await served.wait_until(lambda: "forged" in stream.errors)
    assert stream.errors["forged"]["err"] == "invalid_key"


@pytest.mark.parametrize("has_header", [True, False])
async def test_pushed_events_come_again_when_their_key_may_be_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_header: bool
) -> None:
    """503 is for now and 400 for good, whether or not the stream has a header of its own."""
    monkeypatch.setattr(key_schedule, "COOL_DOWN", 3600.0)
    async with Transmitter().serve() as served:
        lines = ['delivery = "push"', *([f'authorization = "{HEADER}"'] if has_header else [])]
        async with receiving(tmp_path, served, *lines, method=PUSH) as (_, stream):
            await emit(served)
            await forge(served, stream, "forged")
            assert await served.push(stream) == [202, 400]
            served.rotate_keys()
            await emit(served)
            assert await served.push(stream) == [503]
            monkeypatch.setattr(key_schedule, "COOL_DOWN", 0.0)
            assert await served.push(stream) == [202]
