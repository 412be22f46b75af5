"""The reaction to a security event: the usual one, or the one that the transmitter's entry sets."""

from __future__ import annotations

import msgspec

from hub.core.event_types import SESSION_REVOKED, Ends
from hub.core.issuers import Entry
from hub.core.model import Micros, Origin
from hub.core.security_events import SecurityEvent
from hub.core.signal import Channel, Signal, Target
from hub.core.signed_signal import end_of_second, read_horizon
from hub.core.subjects import Subject, resolve_session, resolve_subject
from hub.core.transmitters import Delivery, Transmitter, find_reaction

CHANNELS = {Delivery.PUSH: Channel.PUSH, Delivery.POLL: Channel.POLL}


def react(
    event: SecurityEvent, transmitter: Transmitter, entry: Entry, now: Micros
) -> Signal | None:
    """Return the signal that an event stands for, about a user of the transmitter's entry.

    None if the event does nothing, or its subject is not a user or session of this hub.
    """
    if event.subject is None:
        return None
    reaction = find_reaction(transmitter, event.name, event.kind)
    targets = _find_targets(event, event.subject, transmitter, entry)
    if not targets:
        return None
    target, *more = targets
    return Signal(
        channel=CHANNELS[transmitter.delivery],
        id=event.jti,
        target=_widen(target) if reaction.ends is Ends.USER else target,
        origin=Origin(
            by=event.iss,
            event=event.name,
            title=transmitter.title,
            at=event.at,
            initiating_entity=event.initiating_entity,
            reason_admin=event.reason_admin,
        ),
        reason=reaction.reason,
        issued_at=event.issued_at,
        before=read_horizon(_happened_at(event), now, transmitter.rules.leeway),
        message=event.reason_user,
        profile=reaction.profile,
        also=more[0] if more else None,
    )


def _find_targets(
    event: SecurityEvent, subject: Subject, transmitter: Transmitter, entry: Entry
) -> list[Target]:
    """Return what an event is about; two if it may be about a user or a session of that name.

    A revoked session may be named by its id alone, as the example of CAEP 1.0 section 3.1.2 does.
    """
    user = resolve_subject(subject, transmitter, entry)
    session = resolve_session(subject, entry) if event.name == SESSION_REVOKED else None
    return [one for one in (user, session) if one is not None]


def _widen(target: Target) -> Target:
    """Return all sessions of a target's user; the session alone, if the user is not known."""
    return target if target.user is None else msgspec.structs.replace(target, sid=None)


def _happened_at(event: SecurityEvent) -> Micros:
    """Return when an event happened: no later than it was issued, whatever it says."""
    if event.at is None or event.at > end_of_second(event.issued_at):
        return event.issued_at
    return event.at
