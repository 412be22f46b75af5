"""Calls the functions that an app registers with a guard, so that their errors cannot harm it."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

log = logging.getLogger("logout_hub.guard")

FAILED = "a callback of the guard failed"
CALLS_AT_A_TIME = 20

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


def call_on_loop(call: Callable[..., Any], *arguments: Any) -> None:
    """The same on the running event loop, where the function may be asynchronous."""
    try:
        result = call(*arguments)
        if inspect.isawaitable(result):
            task = asyncio.ensure_future(_finish(result))
            _running.add(task)
            task.add_done_callback(_running.discard)
    except (Exception, SystemExit):
        log.exception(FAILED)


async def _finish(result: Awaitable[Any]) -> None:
    try:
        await result
    except (Exception, SystemExit):
        log.exception(FAILED)


class LoopCalls:
    """Calls functions on an event loop, in the order in which threads add them.

    It calls a few at a time, so that however many there are, the loop does other work in between.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._waiting: collections.deque[tuple[Callable[..., Any], tuple[Any, ...]]]
        self._waiting = collections.deque()
        self._is_scheduled = False

    def add(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Have a function called, which may be asynchronous; from any thread."""
        if self._loop.is_closed():
            return  # there is nobody to call
        with self._lock:
            self._waiting.append((call, arguments))
            is_scheduled, self._is_scheduled = self._is_scheduled, True
        if not is_scheduled:
            with contextlib.suppress(RuntimeError):  # it has been closed since
                self._loop.call_soon_threadsafe(self._call_some)

    def _call_some(self) -> None:
        for _ in range(CALLS_AT_A_TIME):
            with self._lock:
                if not self._waiting:
                    self._is_scheduled = False
                    return
                call, arguments = self._waiting.popleft()
            call_on_loop(call, *arguments)
        self._loop.call_soon(self._call_some)
