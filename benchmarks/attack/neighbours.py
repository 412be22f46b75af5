"""The other users: calls of ``/verify`` and logouts at a steady rate, each timed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.calls import Calls
from benchmarks.generator import Crowd, TimedLogout
from benchmarks.tokens import DEVICES, mint

VERIFY_RATE = 100.0
LOGOUT_RATE = 4.0
ANSWER_PATIENCE = 10.0
CALLERS = 16


@dataclass
class Impact:
    """What the other users noticed: response times in seconds, statuses, and logouts."""

    took: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    logouts: list[TimedLogout] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """The number of calls that were not answered with 204."""
        return self.statuses.total() - self.statuses[204]

    @property
    def notified(self) -> list[float]:
        """Seconds from each logout that notified all devices to the last of them."""
        return [logout.latency for logout in self.logouts if logout.notified >= DEVICES]

    @property
    def not_notified(self) -> int:
        """The number of logouts that failed, or did not notify all devices."""
        return sum(logout.notified < DEVICES or logout.status != 200 for logout in self.logouts)


class Neighbours:
    """Users who have nothing to do with the flood."""

    def __init__(self, port: int, seconds: float) -> None:
        users = round(LOGOUT_RATE * seconds) + 2
        self._crowd = Crowd([port], "neighbour", users * DEVICES)
        self._next = 0
        self._calls = Calls(port)
        self._requests = [
            (
                f"GET /verify HTTP/1.1\r\nHost: hub\r\n"
                f"Authorization: Bearer {mint(f'caller-{number}', f'caller-{number}')}\r\n\r\n"
            ).encode()
            for number in range(CALLERS)
        ]

    async def connect(self) -> None:
        """Connect all devices, and warm up."""
        await self._crowd.connect()
        for request in self._requests * 4:
            await self._calls.call(request, ANSWER_PATIENCE)

    async def live(self, seconds: float) -> Impact:
        """Call and log out for some seconds; return the impact on these users."""
        impact = Impact()
        logouts = round(LOGOUT_RATE * seconds)
        users = range(self._next, self._next + logouts)
        self._next += logouts
        _, impact.logouts = await asyncio.gather(
            self._verify(seconds, impact), self._crowd.log_out_at_rate(users, LOGOUT_RATE)
        )
        return impact

    async def _verify(self, seconds: float, impact: Impact) -> None:
        began = time.perf_counter() + 0.05
        tasks = []
        for place in range(round(VERIFY_RATE * seconds)):
            due = began + place / VERIFY_RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(self._call(place, due, impact)))
        await asyncio.gather(*tasks)

    async def _call(self, place: int, due: float, impact: Impact) -> None:
        request = self._requests[place % CALLERS]
        status, at = await self._calls.call(request, ANSWER_PATIENCE)
        impact.took.append(at - due)
        impact.statuses[status] += 1

    def request(self, number: int) -> bytes:
        """Return a call of one of the others."""
        return self._requests[number]

    @property
    def closed_without_cause(self) -> int:
        """The number of devices that were disconnected without a logout."""
        return self._crowd.counts["closed without cause"]

    def close(self) -> None:
        """Drop all connections."""
        self._crowd.close()
        self._calls.close()
