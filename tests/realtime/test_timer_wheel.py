"""One timer wheel for many timers: never early, never lost, even if the loop is late."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from hub.realtime.timer_wheel import STEP, Timer, TimerWheel
from tests.patience import PATIENCE
from tests.realtime.raw import eventually


async def test_a_wait_ends_in_its_time() -> None:
    """A timer fires not before it is due, and soon after, in whatever order timers started."""
    wheel, ended, began = TimerWheel(), dict[float, float](), time.monotonic()

    def note(wait: float) -> None:
        ended[wait] = time.monotonic() - began

    waits = [0.9, 0.0, 0.3, 0.31, 0.6]
    timers = [Timer(lambda wait=wait: note(wait)) for wait in waits]  # type: ignore[misc]
    for timer, wait in zip(timers, waits, strict=True):
        wheel.start(timer, wait)
    await eventually(lambda: len(ended) == len(waits))
    assert all(at >= wait for wait, at in ended.items())


async def test_a_late_loop_loses_nothing() -> None:
    """Timers due while the loop was blocked still fire, though others are started meanwhile."""
    wheel, told = TimerWheel(), []
    again = Timer(lambda: None)

    def ping() -> None:
        told.append("ping")
        wheel.start(again, 20)

    wheel.start(Timer(ping), 0.1)
    for number in range(4):
        wheel.start(Timer(lambda number=number: told.append(number)), 0.1 + number * STEP)  # type: ignore[misc]
    time.sleep(6 * STEP)  # noqa: ASYNC251 - the loop stands still
    await eventually(lambda: len(told) == 5)
    assert sorted(map(str, told)) == ["0", "1", "2", "3", "ping"]


async def test_what_fails_does_not_stop_the_wheel() -> None:
    """If one timer raises, the others still fire."""
    wheel, told = TimerWheel(), asyncio.Event()

    def fail() -> None:
        raise RuntimeError("a bug")

    wheel.start(Timer(fail), 0)
    wheel.start(Timer(told.set), STEP)
    async with asyncio.timeout(PATIENCE):
        await told.wait()


async def test_what_was_dropped_is_not_told() -> None:
    """A stopped timer does not fire, even if it is stopped in the step in which it is due."""
    wheel, told, done = TimerWheel(), [], asyncio.Event()
    timers: list[Timer] = []

    def drop(other: int) -> None:
        told.append(other)
        wheel.stop(timers[other])

    timers += [Timer(partial(drop, 1)), Timer(partial(drop, 0))]
    for timer in timers:
        wheel.start(timer, 0)
    wheel.start(Timer(done.set), 2 * STEP)
    async with asyncio.timeout(PATIENCE):
        await done.wait()
    assert len(told) == 1
