"""Calls the functions that an app registers with a guard, so that their errors cannot harm it."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from hub.guard.backlog import Backlog

T = TypeVar("T")

log = logging.getLogger("logout_hub.guard")

FAILED = "a callback of the guard failed"
CALLS_AT_A_TIME = 20
MAX_UNFINISHED = 100
"""How many calls of one asynchronous function are in progress at the same time."""
MANY_WAITING = 100_000
"""How many calls that are due are worth a warning."""

_running: set[asyncio.Future[Any]] = set()
"""Tasks on event loops, which do not keep references to them."""


def call_safely(call: Callable[..., Any], *arguments: Any) -> None:
    """Call a function of the app; anything that it raises is logged, even an exit.

    There is no event loop here: an asynchronous function is an error as well.
    """
    try:
        result = call(*arguments)
        if inspect.iscoroutine(result):
            result.close()
            raise TypeError("it is asynchronous, and is called where there is no event loop")
    except (Exception, SystemExit):
        log.exception(FAILED)


def call_on_loop(call: Callable[..., Any], *arguments: Any) -> asyncio.Future[None] | None:
    """The same on the running event loop, where the function may be asynchronous.

    Returns the task that finishes the call, if there is anything to wait for.
    """
    try:
        result = call(*arguments)
        if inspect.isawaitable(result):
            task = asyncio.ensure_future(_finish(result))
            _running.add(task)
            task.add_done_callback(_running.discard)
            return task
    except (Exception, SystemExit):
        log.exception(FAILED)
    return None


async def _finish(result: Awaitable[Any]) -> None:
    try:
        await result
    except (Exception, SystemExit):
        log.exception(FAILED)


class LoopCalls(Generic[T]):
    """Calls a function on an event loop with each value that threads add, in their order.

    It makes a few calls at a time, so that however many there are, the loop does other work in
    between. Of an asynchronous function, at most `MAX_UNFINISHED` calls are in progress. The
    values that wait for their turn are of type ``kind``, and packed.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, call: Callable[[T], Any], kind: type[T]
    ) -> None:
        self.loop = loop
        self._call = call
        self._lock = threading.Lock()
        self._waiting: Backlog[T] = Backlog(kind)
        self._is_scheduled = False
        self._is_paused = self._has_warned = False
        self._unfinished = 0

    def add(self, value: T) -> None:
        """Have the function called, which may be asynchronous; from any thread."""
        if self.loop.is_closed():
            return  # there is nobody to call
        with self._lock:
            self._waiting.append(value)
            is_scheduled, self._is_scheduled = self._is_scheduled, True
            is_late = len(self._waiting) >= MANY_WAITING and not self._has_warned
            self._has_warned = self._has_warned or is_late
        if is_late:
            log.warning("a callback of the guard is slow: %d calls are due", MANY_WAITING)
        if not is_scheduled:
            with contextlib.suppress(RuntimeError):  # it has been closed since
                self.loop.call_soon_threadsafe(self._call_some)

    def _call_some(self) -> None:
        for _ in range(CALLS_AT_A_TIME):
            if self._unfinished >= MAX_UNFINISHED:
                self._is_paused = True
                return
            with self._lock:
                if not self._waiting:
                    self._is_scheduled = self._has_warned = False
                    return
                value = self._waiting.popleft()
            if (task := call_on_loop(self._call, value)) is not None:
                self._unfinished += 1
                task.add_done_callback(self._note_finished)
        self.loop.call_soon(self._call_some)

    def _note_finished(self, task: asyncio.Future[Any]) -> None:
        self._unfinished -= 1
        if self._is_paused:
            self._is_paused = False
            self.loop.call_soon(self._call_some)
