"""Whatever claims are signed, a signal is read or refused: nothing else is raised."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hub.core.event_types import EVENT_TYPES
from hub.core.issuers_document import read_document
from hub.core.logout_tokens import LOGOUT_EVENT, read_logout_token
from hub.core.reactions import react
from hub.core.refusal import SignalRefused
from hub.core.security_events import read_set
from hub.core.subjects import MEMBERS, read_subject
from tests.signals_table import CLIENT, ISSUER, event_claims, logout_claims

NOW = 1_800_000_000.5
MICROS = 1_800_000_000_500_000
FILE = read_document(
    f'[[issuer]]\niss = "{ISSUER}"\naudience = "api"\nlogout_audience = "{CLIENT}"\n'
    f'[[transmitter]]\niss = "{ISSUER}"\naud = "{CLIENT}"\ndelivery = "push"\nlegacy = true',
    max_lifetime=86400,
    leeway=0,
)

TEXTS = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(
    [ISSUER, CLIENT, "ada", "s-1", '{"type": "consent-revoked"}', "1e400", *MEMBERS]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
NAMES = ("format", "user", "session", "subject_type", "identifiers", *sum(MEMBERS.values(), ()))
SUBJECTS = st.recursive(
    JSON,
    lambda inner: st.dictionaries(st.sampled_from(NAMES), inner | st.lists(inner, max_size=2)),
    max_leaves=6,
)
URIS = st.sampled_from([LOGOUT_EVENT, *(uri for kind in EVENT_TYPES for uri in kind.uris)]) | TEXTS
EVENT_MEMBERS = (
    "event_timestamp", "initiating_entity", "reason_admin", "reason_user", "state", "subject",
    "current_status", "current_level", "change_type", "change_direction",
)  # fmt: skip
EVENTS = st.dictionaries(
    URIS, JSON | st.dictionaries(st.sampled_from(EVENT_MEMBERS), JSON | SUBJECTS), max_size=2
)
CLAIMS = st.dictionaries(
    st.sampled_from(("iss", "aud", "iat", "exp", "nbf", "jti", "sub", "sid", "nonce", "toe")),
    JSON,
    max_size=2,
)


@given(CLAIMS, st.none() | EVENTS | JSON)
def test_a_logout_token_is_read_or_refused(claims: dict[str, Any], events: Any) -> None:
    """And one that is read names a session or a user of the issuer."""
    changed = logout_claims(NOW) | claims
    if events is not None:
        changed["events"] = events
    with contextlib.suppress(SignalRefused):
        target = read_logout_token(changed, FILE.entries[0], MICROS).target
        assert target.iss == ISSUER
        assert target.user or target.sid


@given(CLAIMS, EVENTS | JSON, SUBJECTS)
def test_a_security_event_is_read_or_refused(
    claims: dict[str, Any], events: Any, subject: Any
) -> None:
    """And what it asks for is about users of the issuer, at no time ahead."""
    changed = event_claims(NOW) | claims | {"events": events, "sub_id": subject}
    with contextlib.suppress(SignalRefused):
        event = read_set(changed, FILE.transmitters[0], MICROS)
        signal = react(event, FILE.transmitters[0], FILE.entries[0], MICROS)
        if signal is not None:
            assert signal.target.iss == ISSUER
            assert signal.before is not None
            assert signal.before <= MICROS


@given(SUBJECTS)
def test_a_subject_is_read_or_refused(subject: Any) -> None:
    """Of whatever form it is."""
    with contextlib.suppress(SignalRefused):
        read_subject(subject)
