"""Calls the functions that an app registers with a guard, so that their errors cannot harm it."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

log = logging.getLogger("logout_hub.guard")

FAILED = "a callback of the guard failed"

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
