"""One timer for many: never early, never lost, also when the loop is late."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from hub.realtime.wheel import STEP, Alarm, Wheel
from tests.patience import PATIENCE
from tests.realtime.raw import eventually


async def test_a_wait_ends_in_its_time() -> None:
    """Not before, and soon after; whatever the order in which things began to wait."""
    wheel, ended, began = Wheel(), dict[float, float](), time.monotonic()

    def note(wait: float) -> None:
        ended[wait] = time.monotonic() - began

    waits = [0.9, 0.0, 0.3, 0.31, 0.6]
    alarms = [Alarm(lambda wait=wait: note(wait)) for wait in waits]  # type: ignore[misc]
    for alarm, wait in zip(alarms, waits, strict=True):
        wheel.put(alarm, wait)
    await eventually(lambda: len(ended) == len(waits))
    assert all(at >= wait for wait, at in ended.items())


async def test_a_late_loop_loses_nothing() -> None:
    """What was due while the loop stood still is told, though others begin to wait meanwhile."""
    wheel, told = Wheel(), []
    again = Alarm(lambda: None)

    def ping() -> None:
        told.append("ping")
        wheel.put(again, 20)

    wheel.put(Alarm(ping), 0.1)
    for number in range(4):
        wheel.put(Alarm(lambda number=number: told.append(number)), 0.1 + number * STEP)  # type: ignore[misc]
    time.sleep(6 * STEP)  # noqa: ASYNC251 - the loop stands still
    await eventually(lambda: len(told) == 5)
    assert sorted(map(str, told)) == ["0", "1", "2", "3", "ping"]


async def test_what_fails_does_not_stop_the_wheel() -> None:
    """The others are told all the same."""
    wheel, told = Wheel(), asyncio.Event()

    def fail() -> None:
        raise RuntimeError("a bug")

    wheel.put(Alarm(fail), 0)
    wheel.put(Alarm(told.set), STEP)
    async with asyncio.timeout(PATIENCE):
        await told.wait()


async def test_what_was_dropped_is_not_told() -> None:
    """Not even when it is dropped by something that is told in the same step."""
    wheel, told, done = Wheel(), [], asyncio.Event()
    alarms: list[Alarm] = []

    def drop(other: int) -> None:
        told.append(other)
        wheel.drop(alarms[other])

    alarms += [Alarm(partial(drop, 1)), Alarm(partial(drop, 0))]
    for alarm in alarms:
        wheel.put(alarm, 0)
    wheel.put(Alarm(done.set), 2 * STEP)
    async with asyncio.timeout(PATIENCE):
        await done.wait()
    assert len(told) == 1
