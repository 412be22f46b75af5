"""Polls the transmitters whose delivery is ``poll``, each by one replica at a time.

A hold in the store decides which one. It is renewed while the replica polls, released when it
stops, and lapses when it dies; then another replica continues with what is not acknowledged. If two
poll at once after all, both take the same events, and the store carries out each once.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets

import structlog

from hub.access.stream_notes import StreamNotes
from hub.access.stream_poller import StreamPoller, Take
from hub.access.transmitter import TransmitterClient
from hub.access.transmitters import Transmitters, name_of
from hub.core.transmitters import Delivery
from hub.errors import Unavailable
from hub.metrics import Metrics
from hub.store.base import Store
from hub.store.cancellation import cancel

log = structlog.get_logger(__name__)

HOLD = 15.0
"""Seconds after which the hold of a replica lapses unless it is renewed."""

RENEW = 5.0
"""Seconds between two renewals, and between two attempts of another replica to take the hold."""


class PollingStreams:
    """Polls streams, in `run`; call `aclose` after that, and before the store is closed.

    ``take`` handles an event, ``replica`` is this replica's name for operators.
    """

    def __init__(
        self,
        store: Store,
        transmitters: Transmitters,
        take: Take,
        notes: StreamNotes,
        metrics: Metrics,
        replica: str = "",
    ) -> None:
        self._store = store
        self._transmitters = transmitters
        self._take = take
        self._notes = notes
        self._metrics = metrics
        self._replica = replica
        self._holder = f"{replica} {secrets.token_hex(8)}"
        self._tasks: dict[TransmitterClient, asyncio.Task[None]] = {}
        self._held: set[str] = set()

    async def run(self) -> None:
        """Poll the configured transmitters until cancelled, also after a reload."""
        try:
            while True:
                replaced = self._transmitters.replaced
                await self._start_and_stop()
                await replaced.wait()
        finally:
            await cancel(self._tasks.values())

    async def aclose(self) -> None:
        """Release all holds, so that another replica continues at once."""
        await cancel(self._tasks.values())
        for name in list(self._held):
            await self._release(name)

    async def _start_and_stop(self) -> None:
        clients = self._transmitters.clients
        wanted = {one for one in clients if one.transmitter.delivery is Delivery.POLL}
        gone = [client for client in self._tasks if client not in wanted]
        await cancel([self._tasks.pop(client) for client in gone])
        for client in gone:
            await self._release(name_of(client.transmitter))
        for client in wanted - self._tasks.keys():
            self._tasks[client] = asyncio.create_task(self._poll_when_held(client))

    async def _poll_when_held(self, client: TransmitterClient) -> None:
        """Poll whenever this replica has the hold."""
        name = name_of(client.transmitter)
        while True:
            try:
                if await self._hold(name):
                    await self._poll_while_held(client, name)
            except Exception:
                log.exception("a stream is not polled", iss=client.transmitter.iss)
            await asyncio.sleep(RENEW * random.uniform(0.5, 1.0))  # noqa: S311 - a jitter

    async def _poll_while_held(self, client: TransmitterClient, name: str) -> None:
        poller = StreamPoller(client, self._take, self._notes, self._metrics, self._replica)
        polling = asyncio.create_task(poller.run())
        now = asyncio.get_running_loop().time
        held_until = now() + HOLD
        try:
            while now() < held_until:
                await asyncio.wait([polling], timeout=RENEW)
                if polling.done():
                    polling.result()
                asked_at = now()
                if await self._hold(name):
                    held_until = asked_at + HOLD
                elif name not in self._held:
                    return
        finally:
            await cancel([polling])

    async def _hold(self, name: str) -> bool:
        """Take the hold or renew it; return whether that is certain."""
        try:
            has_it = await self._store.hold(name, self._holder, HOLD)
        except Unavailable:
            return False
        if has_it:
            self._held.add(name)
        else:
            self._held.discard(name)
        return has_it

    async def _release(self, name: str) -> None:
        self._held.discard(name)
        with contextlib.suppress(Unavailable):  # then it lapses
            await self._store.release(name, self._holder)
