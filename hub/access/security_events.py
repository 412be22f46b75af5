"""Receives the security events of the configured transmitters, pushed or polled."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

import structlog

from hub.access.issuers import Issuers
from hub.access.keys import sparing_new_keys
from hub.access.repeated_warnings import RepeatedWarnings
from hub.access.signals import Signals
from hub.access.stream_notes import StreamNotes
from hub.access.transmitters import Transmitters
from hub.core.event_types import STREAM_UPDATED, VERIFICATION
from hub.core.issuers import find_entry
from hub.core.model import Micros
from hub.core.reactions import CHANNELS, react
from hub.core.refusal import Refusal, SignalRefused, refusing
from hub.core.security_events import SecurityEvent, find_transmitter, read_set, read_set_header
from hub.core.signal import Channel
from hub.core.tokens import check_signature
from hub.core.transmitters import Delivery, Transmitter
from hub.errors import Unavailable

log = structlog.get_logger(__name__)

MAX_STATUS = 200
"""Characters of a stream's status that are noted."""


class SecurityEvents:
    """Verifies events, and has the signals in them carried out."""

    def __init__(
        self, issuers: Issuers, transmitters: Transmitters, signals: Signals, notes: StreamNotes
    ) -> None:
        self._issuers = issuers
        self._transmitters = transmitters
        self._signals = signals
        self._notes = notes
        self._warnings = RepeatedWarnings()

    async def take_push(self, token: str, authorization: str | None, address: str) -> None:
        """Take a pushed event; ``authorization`` is the header of that name.

        Raises:
            SignalRefused: if it is invalid, or not from a transmitter that pushes.
            RateLimited: if too many events from this ``address`` were refused.
            Unavailable: if it may not have been stored.
        """
        pushing = [
            client.transmitter
            for client in self._transmitters.clients
            if client.transmitter.delivery is Delivery.PUSH
        ]
        try:
            transmitter = find_transmitter(token, pushing)
            _check_authorization(transmitter, authorization)
        except SignalRefused as error:
            self._signals.refuse(Channel.PUSH, error, address)
            raise
        await self._take(transmitter, token, address)

    async def take(self, transmitter: Transmitter, token: str) -> None:
        """Take an event that was polled; raises as `take_push` does."""
        await self._take(transmitter, token, None)

    async def _take(self, transmitter: Transmitter, token: str, address: str | None) -> None:
        channel, claims = CHANNELS[transmitter.delivery], None
        try:
            claims = await self._verify(transmitter, token)
            now = await self._signals.now()
            event = read_set(claims, transmitter, now)
            await self._carry_out(event, transmitter, channel, now)
        except SignalRefused as error:
            # An event from a stranger says nothing about the transmitter: not worth a write.
            if claims is not None or _is_its_own(transmitter):
                self._notes.refused(transmitter, error.err, error.detail)
            self._signals.refuse(channel, error, address)
            raise
        self._notes.accepted(transmitter, event.issued_at)

    async def _verify(self, transmitter: Transmitter, token: str) -> dict[str, Any]:
        client = self._transmitters.client(transmitter)
        if client is None:
            raise SignalRefused(Refusal.OFF, "the transmitter is not configured any more")
        header = read_set_header(token, transmitter)
        # A refusal is final, and would lose the first events after a key change.
        with refusing(Refusal.SIGNATURE), sparing_new_keys():
            if header.alg not in transmitter.rules.algorithms:
                raise SignalRefused(
                    Refusal.SIGNATURE, "signed with an algorithm that is not pinned"
                )
            (key,) = await client.keys.find(header)
            return check_signature(token, key, transmitter.rules)

    async def _carry_out(
        self, event: SecurityEvent, transmitter: Transmitter, channel: Channel, now: Micros
    ) -> None:
        if event.old_forms and self._warnings.is_due(f"{event.iss} {event.old_forms}"):
            log.warning("a transmitter sends outdated forms", iss=event.iss, forms=event.old_forms)
        if event.name == STREAM_UPDATED:
            self._notes.updated(transmitter, *_read_status(event.members))
        elif event.name == VERIFICATION and not await self._notes.verified(
            transmitter, event.state
        ):
            raise SignalRefused(Refusal.STATE, "the state is not the one that was asked for")
        entry = find_entry(self._issuers.entries, transmitter.issuer)
        if entry is None:
            # The settings were reloaded; the event is judged by the new ones when it is sent again.
            raise Unavailable("the transmitter's issuer is not configured any more")
        signal = react(event, transmitter, entry, now)
        if signal is None:
            log.info("an event ends nothing", iss=event.iss, event_type=event.name, id=event.jti)
        await self._signals.take(signal, channel, event.iss, event.name)


def _is_its_own(transmitter: Transmitter) -> bool:
    """Return whether an event certainly comes from its transmitter, whatever its signature."""
    return transmitter.delivery is Delivery.POLL or transmitter.authorization is not None


def _check_authorization(transmitter: Transmitter, given: str | None) -> None:
    """Check the ``Authorization`` that the stream is configured with (SSF 1.0 section 6.1.1)."""
    wanted = transmitter.authorization
    if wanted is None:
        return
    if not hmac.compare_digest(wanted.encode(), (given or "").encode(errors="surrogateescape")):
        raise SignalRefused(Refusal.AUTHORIZATION, "Authorization is not that of the stream")


def _read_status(members: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the new status of a stream and the reason (SSF 1.0 section 8.1.5)."""
    status, reason = members.get("status"), members.get("reason")
    return str(status)[:MAX_STATUS], None if reason is None else str(reason)[:MAX_STATUS]
