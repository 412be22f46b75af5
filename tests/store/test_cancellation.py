"""Background tasks are ended, also when a library swallows the cancellation."""

from __future__ import annotations

import asyncio

import pytest

from hub.store.cancellation import cancel


@pytest.mark.parametrize("swallowed", [0, 1, 3])
async def test_a_task_ends_though_cancellations_are_swallowed(swallowed: int) -> None:
    """It is cancelled until it has ended."""
    left = swallowed

    async def work() -> None:
        nonlocal left
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if not left:
                    raise
                left -= 1

    async def fail() -> None:
        raise ValueError("what it raised does not matter")

    tasks = [asyncio.create_task(work()), asyncio.create_task(fail())]
    await asyncio.sleep(0)
    await cancel(tasks)
    assert all(task.done() for task in tasks)
    assert left == 0


async def test_nothing_to_cancel_is_nothing_to_wait_for() -> None:
    """As when a store closes that was never used."""
    await cancel([])
