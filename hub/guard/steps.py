"""Work that sometimes waits, written once for threads and for event loops.

Such work is a generator that yields what it waits for: a `Wait` for a future that some thread
completes. `run` does it in the calling thread, and `arun` in an event loop. The names of such
generators end in -ing: `checking`, `asking`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from concurrent.futures import CancelledError, Future
from typing import Any, TypeAlias, TypeVar

import msgspec

from hub.errors import Unavailable

T = TypeVar("T")


CLOSED = "the guard is closed"


class Wait(msgspec.Struct, frozen=True):
    """A future, and how many seconds to wait for it before `TimeoutError` is raised.

    If it is cancelled because the guard is closed, that raises `Unavailable`.
    """

    future: Future[Any]
    timeout: float


Steps: TypeAlias = Generator[Wait, Any, T]


def run(steps: Steps[T]) -> T:
    """Do the work in this thread, and return its result."""
    try:
        wait = next(steps)
        while True:
            try:
                result = wait.future.result(wait.timeout)
            except CancelledError:
                wait = steps.throw(Unavailable(CLOSED))
            except Exception as error:
                wait = steps.throw(error)
            else:
                wait = steps.send(result)
    except StopIteration as end:
        value: T = end.value
        return value
    finally:
        steps.close()


async def arun(steps: Steps[T]) -> T:
    """Do the work in the running event loop, and return its result."""
    try:
        wait = next(steps)
        while True:
            try:
                result = await _result(wait)
            except Exception as error:
                wait = steps.throw(error)
            else:
                wait = steps.send(result)
    except StopIteration as end:
        value: T = end.value
        return value
    finally:
        steps.close()


async def _result(wait: Wait) -> Any:
    # Not `wait_for`, which would cancel the future, although others may be waiting for it.
    future = asyncio.wrap_future(wait.future)
    future.add_done_callback(_retrieve)
    done, _ = await asyncio.wait({future}, timeout=wait.timeout)
    if not done:
        raise TimeoutError
    if future.cancelled():
        raise Unavailable(CLOSED)  # it is not the task here that is cancelled
    return future.result()


def _retrieve(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
