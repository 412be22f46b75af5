"""Polls one transmitter (RFC 8936): takes its events, and acknowledges those that are stored.

An event that the store did not take is neither acknowledged nor refused: it is retried here, and
the transmitter keeps it until some replica acknowledges it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import structlog

from hub.access.repeated_warnings import RepeatedWarnings
from hub.access.stream_notes import Kind, StreamNotes
from hub.access.transmitter import Poll, TransmitterClient, choose_own
from hub.access.transmitter_calls import TransmitterFailed
from hub.core.refusal import SignalRefused
from hub.core.transmitters import Transmitter
from hub.errors import HubError
from hub.metrics import Metrics

log = structlog.get_logger(__name__)

MOST = 50
"""How many events are requested at once, and how many may wait for the store."""

MAX_TOKEN = 64 * 1024
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
LONGEST_WAIT = 5.0
"""Seconds between two attempts to store events that could not be stored."""

MAX_FAILURES = 3
"""After so many failures in a row, the transmitter is asked again where the stream is polled."""

LONGEST_RETRY_AFTER = 3600.0

Take: TypeAlias = Callable[[Transmitter, str], Awaitable[object]]
"""Verifies an event and carries it out; returns once it is stored.

Raises `SignalRefused` if the event is refused. A ``retryable`` `HubError`, of that kind or another,
says that it may be accepted later, any other that it never will be.
"""


class StreamPoller:
    """Polls a transmitter's stream; ``replica`` is our name for operators."""

    def __init__(
        self,
        client: TransmitterClient,
        take: Take,
        notes: StreamNotes,
        metrics: Metrics,
        replica: str,
    ) -> None:
        self._client = client
        self._take = take
        self._notes = notes
        self._metrics = metrics
        self._replica = replica
        self._warnings = RepeatedWarnings()
        self._endpoint: str | None = None
        self._most = MOST
        self._may_wait = True
        """Whether the transmitter may wait for events before it answers."""
        self._acknowledged: dict[str, None] = {}
        self._refused: dict[str, Mapping[str, str]] = {}
        self._waiting: dict[str, str] = {}

    async def run(self) -> None:
        """Poll until cancelled."""
        failures = unwritten = 0
        while True:
            began = asyncio.get_running_loop().time()
            try:
                has_more = await self._poll()
            except TransmitterFailed as error:
                failures += 1
                self._fail(error, failures)
                wanted = min(error.retry_after or 0.0, LONGEST_RETRY_AFTER)
                await asyncio.sleep(max(backoff(failures), wanted))
                continue
            self._succeed(after_failures=failures > 0)
            failures = 0
            unwritten = unwritten + 1 if self._waiting else 0
            if self._waiting:
                await asyncio.sleep(min(backoff(unwritten), LONGEST_WAIT))
            elif not has_more:
                interval = self._client.transmitter.poll_interval
                elapsed = asyncio.get_running_loop().time() - began
                await asyncio.sleep(max(0.0, interval - elapsed))

    async def _poll(self) -> bool:
        """Poll once, and return whether there were new events."""
        await self._take_all(dict(self._waiting))
        if self._endpoint is None:
            self._endpoint = await self._find_endpoint()
        acknowledged, refused = list(self._acknowledged), dict(self._refused)
        room = max(0, self._most - len(self._waiting))
        is_busy = bool(self._waiting) or not self._may_wait
        answer = await self._client.poll(self._endpoint, Poll(room, is_busy, acknowledged, refused))
        # These were acknowledged or refused, but the transmitter may send them again.
        for jti in acknowledged:
            del self._acknowledged[jti]
        for jti in refused:
            del self._refused[jti]
        known = {*acknowledged, *refused, *self._waiting}
        await self._take_all(answer.sets)
        return not answer.sets.keys() <= known

    async def _find_endpoint(self) -> str:
        iss = self._client.transmitter.iss
        found = choose_own(await self._client.streams(), self._client.transmitter)
        if len(found) > 1:
            log.warning("a transmitter has several streams: one is polled", iss=iss, n=len(found))
        endpoint = found[0].delivery.endpoint_url or ""
        self._client.check_endpoint("the stream's endpoint_url", endpoint)
        return endpoint

    # ---- Events ----

    async def _take_all(self, tokens: Mapping[str, Any]) -> None:
        for jti, token in tokens.items():
            if not isinstance(token, str) or len(token) > MAX_TOKEN:
                self._refuse(jti, "invalid_request", "not a token of at most 64 KiB")
            else:
                await self._take_one(jti, token)

    async def _take_one(self, jti: str, token: str) -> None:
        try:
            await self._take(self._client.transmitter, token)
        except HubError as error:
            if error.retryable:
                self._wait(jti, token, error.detail or error.title)
            else:
                err = error.err if isinstance(error, SignalRefused) else "invalid_request"
                self._refuse(jti, err, error.detail or error.title)
        except Exception as error:
            if self._warnings.is_due(f"{type(error)}"):
                log.exception("an event could not be handled", iss=self._client.transmitter.iss)
            self._wait(jti, token, type(error).__name__)
        else:
            self._waiting.pop(jti, None)
            self._acknowledged[jti] = None

    def _refuse(self, jti: str, err: str, description: str) -> None:
        self._waiting.pop(jti, None)
        self._refused[jti] = {"err": err, "description": description}

    def _wait(self, jti: str, token: str, why: str) -> None:
        self._waiting[jti] = token
        if self._warnings.is_due(why):
            log.warning("an event was not written", iss=self._client.transmitter.iss, error=why)

    # ---- The result of a poll ----

    def _fail(self, error: TransmitterFailed, failures: int) -> None:
        transmitter = self._client.transmitter
        self._metrics.polls.inc("failed")
        self._notes.note(transmitter, Kind.FAILED, str(error))
        if self._warnings.is_due(str(error)):
            log.warning("a transmitter could not be polled", iss=transmitter.iss, error=str(error))
        if error.is_late and self._endpoint is not None:
            self._may_wait = False  # it may wait for longer than we do
        if error.is_large:
            self._most = max(1, self._most // 2)
        is_refused = error.status is not None and error.status < 500
        if error.status != 429 and (is_refused or failures >= MAX_FAILURES):
            self._endpoint = None  # the stream may be another one by now, or elsewhere

    def _succeed(self, *, after_failures: bool) -> None:
        transmitter = self._client.transmitter
        self._metrics.polls.inc("answered")
        self._notes.note(transmitter, Kind.POLLED, self._replica)
        if after_failures:
            log.info("a transmitter is polled again", iss=transmitter.iss)
            self._warnings.forget()


def backoff(attempt: int) -> float:
    """Return how many seconds to pause after the failure of this number in a row, from 1."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempt - 1, 10))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - a jitter
