"""The others: calls of ``/verify`` at a steady rate, and people who log out, each timed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.calls import Calls
from benchmarks.generator import Crowd, Order
from benchmarks.tokens import DEVICES, mint

VERIFY_RATE = 100.0
LOGOUT_RATE = 4.0
ANSWER_PATIENCE = 10.0
CALLERS = 16


@dataclass
class Felt:
    """What the others felt: seconds to an answer, statuses, and logouts."""

    took: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    orders: list[Order] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """How many calls were not answered 204."""
        return self.statuses.total() - self.statuses[204]

    @property
    def told(self) -> list[float]:
        """Seconds from each logout to the last device told, of those that all were told."""
        return [order.latency for order in self.orders if order.told >= DEVICES]

    @property
    def untold(self) -> int:
        """How many logouts not all devices were told of, or that were not answered 200."""
        return sum(order.told < DEVICES or order.status != 200 for order in self.orders)


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

    async def live(self, seconds: float) -> Felt:
        """Call and log out for so long; return what it felt like."""
        felt = Felt()
        logouts = round(LOGOUT_RATE * seconds)
        users = range(self._next, self._next + logouts)
        self._next += logouts
        _, felt.orders = await asyncio.gather(
            self._verify(seconds, felt), self._crowd.log_out_at_rate(users, LOGOUT_RATE)
        )
        return felt

    async def _verify(self, seconds: float, felt: Felt) -> None:
        began = time.perf_counter() + 0.05
        tasks = []
        for place in range(round(VERIFY_RATE * seconds)):
            due = began + place / VERIFY_RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(self._call(place, due, felt)))
        await asyncio.gather(*tasks)

    async def _call(self, place: int, due: float, felt: Felt) -> None:
        request = self._requests[place % CALLERS]
        status, at = await self._calls.call(request, ANSWER_PATIENCE)
        felt.took.append(at - due)
        felt.statuses[status] += 1

    def request(self, number: int) -> bytes:
        """Return a call of one of the others."""
        return self._requests[number]

    @property
    def closed_without_cause(self) -> int:
        """How many devices were closed although nobody logged out."""
        return self._crowd.counts["closed without cause"]

    def close(self) -> None:
        """Drop all connections."""
        self._crowd.close()
        self._calls.close()
