"""Calls that block: how many there may be, and what becomes of them at the end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hub.errors import Unavailable
from hub.guard import flights as flights_module
from hub.guard.flights import Flights
from hub.guard.steps import Steps, Wait, arun, run


def waiting(flights: Flights, name: str) -> Steps[None]:
    """Wait for a call that only waits for a thread."""
    flight, _ = flights.join(name, lambda: None)
    yield Wait(flight, 60)


def test_calls_that_nobody_joins_any_more_count_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a hub that hangs would have more and more questions about the same tokens pile up."""
    monkeypatch.setattr(flights_module, "MAX_WAITING", 3)
    flights, go_on = Flights(), threading.Event()
    try:
        begun = [flights.join("a token", go_on.wait, -1)[0] for _ in range(3)]
        with pytest.raises(Unavailable):
            flights.join("a token", go_on.wait, -1)
        go_on.set()
        for flight in begun:
            flight.result()
        flights.join("a token", go_on.wait, -1)[0].result()
    finally:
        go_on.set()
        flights.close()


async def test_who_waits_for_a_thread_when_the_guard_is_closed_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With `Unavailable`: nobody has cancelled the request."""
    monkeypatch.setattr(flights_module, "MAX_THREADS", 1)
    flights, go_on = Flights(), threading.Event()
    flights.join("busy", go_on.wait)
    task = asyncio.create_task(arun(waiting(flights, "one")))
    thread = asyncio.create_task(asyncio.to_thread(run, waiting(flights, "another")))
    await asyncio.sleep(0.05)
    closing = asyncio.create_task(asyncio.to_thread(flights.close))
    try:
        for refused in (task, thread):
            with pytest.raises(Unavailable):
                await refused
    finally:
        go_on.set()
        await closing
