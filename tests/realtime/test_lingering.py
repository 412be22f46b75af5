"""Refused sockets stay open for the refusal delay, and their number is limited."""

from __future__ import annotations

import contextlib
import time

import pytest

from hub.realtime import lingering
from hub.realtime.lingering import SECONDS, Lingering
from hub.realtime.timer_wheel import TimerWheel
from tests.realtime.raw import eventually, raw_socket
from tests.site import running, settings


class Refused:
    """A refused socket that notes its dismissal."""

    def __init__(self, name: str, dismissed: list[str]) -> None:
        self.name = name
        self.dismissed = dismissed

    def dismiss(self) -> None:
        """Record it."""
        self.dismissed.append(self.name)


async def test_a_moment_ends_in_its_time_unless_the_client_was_first() -> None:
    """A socket is dismissed after the refusal delay, unless its client has closed it."""
    dismissed: list[str] = []
    refused = Lingering(TimerWheel())
    gone, stays = Refused("a", dismissed), Refused("b", dismissed)
    began = time.monotonic()
    refused.add(gone)
    refused.add(stays)
    refused.remove(gone)
    assert gone not in refused
    assert stays in refused
    await eventually(lambda: dismissed)
    assert time.monotonic() - began >= SECONDS
    assert (dismissed, len(refused)) == (["b"], 0)


async def test_of_too_many_the_oldest_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of refusals never exceeds the limit, and each socket is dismissed."""
    monkeypatch.setattr(lingering, "MAX_LINGERING", 3)
    dismissed: list[str] = []
    refused = Lingering(TimerWheel())
    for number in range(5):
        refused.add(Refused(str(number), dismissed))
    assert (dismissed, len(refused)) == (["0", "1"], 3)
    await eventually(lambda: len(dismissed) == 5)


async def test_who_was_refused_takes_no_place_of_those_who_ask() -> None:
    """A refused socket does not count as one that has yet to send CONNECT."""
    few = settings(limit_pending_total=1)
    async with running(few) as hub, contextlib.AsyncExitStack() as open_still:
        for _ in range(4):
            raw = await open_still.enter_async_context(raw_socket(hub))
            assert str(await raw.connect("nonsense")).startswith("44")
