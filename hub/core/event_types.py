"""The security events that the hub knows, and what it does about each unless the settings differ.

From CAEP 1.0 section 3, RISC 1.0 section 2 and SSF 1.0 sections 8.1.4.1 and 8.1.5, with what Google
and Apple send besides. Any other event is accepted and does nothing.
"""

from __future__ import annotations

import enum
from typing import Any, Literal

import msgspec

from hub.core.model import Reason
from hub.core.tables import convert

CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"
SSF = "https://schemas.openid.net/secevent/ssf/event-type/"
SSE = "https://schemas.openid.net/secevent/sse/event-type/"
"""The prefix of SSF's events in its drafts, where it was called SSE."""

OAUTH = "https://schemas.openid.net/secevent/oauth/event-type/"
"""The prefix of Google's own events."""

APPLE = "apple:"
"""Prepended to the ``type`` of Apple's events, which have no URI."""

VERIFICATION = "verification"
STREAM_UPDATED = "stream-updated"
SESSION_REVOKED = "session-revoked"

Profile = Literal["ordinary", "lost"]


class Ends(enum.StrEnum):
    """What an event ends, as written in the settings."""

    SESSION = "session"
    """The session, if the event names one, or else all sessions of the user."""
    USER = "user"
    NOTHING = "nothing"
    """It is only logged."""


class Reaction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the hub does about an event; ``profile`` says how thoroughly pages clear."""

    ends: Ends
    reason: Reason = Reason.IDENTITY_PROVIDER
    profile: Profile | None = None


class Condition(msgspec.Struct, frozen=True):
    """Limits a reaction to events whose ``member`` has this value (if not ``holds``: has not).

    Values are compared case-insensitively.
    """

    member: str
    value: str
    holds: bool = True

    def applies(self, members: dict[str, Any]) -> bool:
        """Return whether the condition is true for an event with these members."""
        found: str | None = members.get(self.member)
        return (found is not None and found.lower() == self.value) is self.holds


class EventType(msgspec.Struct, frozen=True):
    """A known event: its short name and its URIs.

    An event for which the ``condition`` is false does nothing, whatever the reaction is.
    """

    name: str
    uris: tuple[str, ...]
    reaction: Reaction
    condition: Condition | None = None

    def applies(self, members: dict[str, Any]) -> bool:
        """Return whether an event of this type with these members has its reaction."""
        return self.condition is None or self.condition.applies(members)


NOTHING = Reaction(Ends.NOTHING)
_SESSION = Reaction(Ends.SESSION)
_USER = Reaction(Ends.USER)
_PASSWORD = Reaction(Ends.USER, Reason.PASSWORD_CHANGED)
_POLICY = Reaction(Ends.SESSION, Reason.POLICY)
_SUSPICIOUS = Reaction(Ends.USER, Reason.SUSPICIOUS)


def _caep(name: str, reaction: Reaction, condition: Condition | None = None) -> EventType:
    return EventType(name, (CAEP + name,), reaction, condition)


def _risc(name: str, reaction: Reaction = NOTHING) -> EventType:
    return EventType(name, (RISC + name,), reaction)


EVENT_TYPES = (
    # RISC has no session-revoked, but some transmitters send one.
    EventType(SESSION_REVOKED, (CAEP + SESSION_REVOKED, RISC + SESSION_REVOKED), _SESSION),
    # Adding a passkey must not log anybody out.
    _caep("credential-change", _PASSWORD, Condition("change_type", "create", holds=False)),
    _caep("device-compliance-change", _POLICY, Condition("current_status", "not-compliant")),
    _caep("assurance-level-change", _POLICY, Condition("change_direction", "decrease")),
    _caep("risk-level-change", _SUSPICIOUS, Condition("current_level", "high")),
    _caep("token-claims-change", NOTHING),
    _risc("account-disabled", _USER),
    _risc("account-purged", _USER),
    _risc("credential-compromise", _SUSPICIOUS),
    _risc("sessions-revoked", _USER),
    _risc("account-credential-change-required"),
    _risc("account-enabled"),
    _risc("identifier-changed"),
    _risc("identifier-recycled"),
    _risc("recovery-activated"),
    _risc("recovery-information-changed"),
    EventType("tokens-revoked", (OAUTH + "tokens-revoked",), _USER),
    EventType("consent-revoked", (APPLE + "consent-revoked",), _USER),
    EventType("account-deleted", (APPLE + "account-deleted", APPLE + "account-delete"), _USER),
    EventType(VERIFICATION, (SSF + VERIFICATION, SSE + VERIFICATION, RISC + VERIFICATION), NOTHING),
    EventType(STREAM_UPDATED, (SSF + STREAM_UPDATED, SSE + STREAM_UPDATED), NOTHING),
)
"""All known events, in the order of the documentation."""

STREAM_EVENTS = frozenset({VERIFICATION, STREAM_UPDATED})
"""Events about the stream itself: they end nothing, and their subject is the stream."""

BY_NAME = {kind.name: kind for kind in EVENT_TYPES}
BY_URI = {uri: kind for kind in EVENT_TYPES for uri in kind.uris}


def read_reactions(table: dict[str, Any]) -> dict[str, Reaction]:
    """Return the reactions of a table ``[transmitter.events]``, by the name or URI of the event.

    The value of a member is a table, or only what the event ends; the rest has its default.

    Raises:
        ValueError: if the table is not valid; names the event.
    """
    return dict(_read_reaction(name, own) for name, own in table.items())


def _read_reaction(name: str, own: Any) -> tuple[str, Reaction]:
    kind = BY_NAME.get(name) or BY_URI.get(name)
    if kind is None and ":" not in name:
        raise ValueError(f"events: {name} is not one of {', '.join(BY_NAME)}, nor a URI")
    if kind is not None and kind.name in STREAM_EVENTS:
        raise ValueError(f"events: {name} is about the stream, and ends nothing")
    usual = NOTHING if kind is None else kind.reaction
    try:
        reaction = convert(own if isinstance(own, dict) else {"ends": own}, Reaction)
    except ValueError as error:
        raise ValueError(f"events: {name}: {error}") from None
    if "reason" not in (own if isinstance(own, dict) else {}):
        reaction = msgspec.structs.replace(reaction, reason=usual.reason)
    return (name if kind is None else kind.name), reaction
