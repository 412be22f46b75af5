"""Transports that were refused: a moment each, and a bound on how many have it."""

from __future__ import annotations

import contextlib
import time

import pytest

from hub.realtime import parting
from hub.realtime.parting import MOMENT, Partings
from hub.realtime.wheel import Wheel
from tests.realtime.raw import eventually, raw_socket
from tests.site import running, settings


async def test_a_moment_ends_in_its_time_unless_the_client_was_first() -> None:
    """One is ended after its moment, with the namespace that it was refused; another is gone."""
    ended: list[tuple[str, str]] = []
    partings = Partings(Wheel(), lambda sid, namespace: ended.append((sid, namespace)))
    began = time.monotonic()
    partings.begin("a", "/")
    partings.begin("b", "/chat")
    partings.drop("a")
    assert partings.namespace("a") is None
    assert partings.namespace("b") == "/chat"
    await eventually(lambda: ended)
    assert time.monotonic() - began >= MOMENT
    assert (ended, len(partings)) == ([("b", "/chat")], 0)


async def test_of_too_many_the_oldest_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of refusals holds no more than the bound; each of it hears its end all the same."""
    monkeypatch.setattr(parting, "MOST", 3)
    ended: list[str] = []
    partings = Partings(Wheel(), lambda sid, namespace: ended.append(sid))
    for number in range(5):
        partings.begin(str(number), "/")
    assert (ended, len(partings)) == (["0", "1"], 3)
    await eventually(lambda: len(ended) == 5)


async def test_who_was_refused_takes_no_place_of_those_who_ask() -> None:
    """A refused transport that is still open is none that CONNECT is awaited of."""
    few = settings(limit_pending_total=1)
    async with running(few) as hub, contextlib.AsyncExitStack() as open_still:
        for _ in range(4):
            raw = await open_still.enter_async_context(raw_socket(hub))
            assert str(await raw.connect("nonsense")).startswith("44")
