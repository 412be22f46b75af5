"""Security events: claims and a transmitter in, an event out, and what is to be done about it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jwt
import pytest

from hub.core.event_types import APPLE, CAEP, EVENT_TYPES, RISC, SSF, EventType
from hub.core.issuers_document import IssuersFile, read_document
from hub.core.model import SECOND, Origin, Reason, user_key
from hub.core.reactions import react
from hub.core.refusal import Refusal, SignalRefused, refusing
from hub.core.security_events import SecurityEvent, find_transmitter, read_set, read_set_header
from hub.core.signal import Channel, Signal, Target
from hub.core.tokens import check_signature
from tests.signals_table import (
    CLIENT,
    ISSUER,
    SECURITY_EVENTS,
    SESSION_REVOKED,
    SUBJECT,
    TWIN,
    Case,
    Sender,
    event_claims,
    event_token,
)

NOW = 1_800_000_000.5
MICROS = 1_800_000_000_500_000
SENDER = Sender()


@cache
def jwks() -> jwt.PyJWKSet:
    """Return the sender's key set."""
    return jwt.PyJWKSet.from_dict(SENDER.jwks())


USER = {"format": "iss_sub", "iss": ISSUER, "sub": "ada"}
ADA = Target(ISSUER, user_key(ISSUER, "ada"))
SESSION = Target(ISSUER, user_key(ISSUER, "ada"), "s-1")


def settings(*lines: str, leeway: float = 0) -> IssuersFile:
    """Return an issuer, and a transmitter of the same name."""
    return read_document(
        "\n".join(
            (
                f'[[issuer]]\niss = "{ISSUER}"\naudience = "api"',
                f'[[transmitter]]\niss = "{ISSUER}"\naud = "{CLIENT}"\ndelivery = "push"',
                'title = "the device manager"',
                *lines,
            )
        ),
        max_lifetime=86400,
        leeway=leeway,
    )


FILE = settings()


def take(token: str, file: IssuersFile = FILE) -> SecurityEvent:
    """Take a token all the way to its event, as the hub does."""
    transmitter = find_transmitter(token, file.transmitters)
    header = read_set_header(token, transmitter)
    with refusing(Refusal.SIGNATURE):
        if header.alg not in transmitter.rules.algorithms:
            raise SignalRefused(Refusal.SIGNATURE, "an algorithm that is not pinned")
        claims = check_signature(token, jwks()[header.alg], transmitter.rules)
    return read_set(claims, transmitter, MICROS)


def read(file: IssuersFile = FILE, **claims: Any) -> SecurityEvent:
    """Return the event in good claims with some changed; one of ``...`` is left out."""
    changed = event_claims(NOW) | {"jti": "j-1"} | claims
    present = {name: value for name, value in changed.items() if value is not ...}
    return read_set(present, file.transmitters[0], MICROS)


def done(file: IssuersFile = FILE, **claims: Any) -> Signal | None:
    """Return what is to be done about an event with these claims."""
    return react(read(file, **claims), file.transmitters[0], file.entries[0], MICROS)


def of(uri: str, sub_id: Any = SUBJECT, **members: Any) -> Signal | None:
    """Return what is to be done about an event about a user and a session."""
    return done(sub_id=sub_id, events={uri: members})


@pytest.mark.parametrize("case", SECURITY_EVENTS, ids=str)
def test_an_odd_event_gets_its_answer_and_its_twin_ends_the_session(case: Case) -> None:
    """What is refused says why in one line, and differs from a good event in nothing else."""
    token = event_token(case, SENDER, NOW)
    if case.reason is None:
        assert take(token).iss == ISSUER
    else:
        with pytest.raises(SignalRefused) as caught:
            take(token)
        assert caught.value.reason is case.reason, caught.value.detail
        assert caught.value.detail
        assert "\n" not in caught.value.detail
    twin = react(
        take(event_token(TWIN, SENDER, NOW)), FILE.transmitters[0], FILE.entries[0], MICROS
    )
    assert twin is not None
    assert twin.target == SESSION


def test_an_event_says_what_is_to_be_done() -> None:
    """Everything that receipt, audit and the person are told is in the signal."""
    members = {
        "event_timestamp": 1_799_999_000.25,
        "initiating_entity": "policy",
        "reason_admin": {"en": "Policy C076E822"},
        "reason_user": {"de": "Zu alt.", "en": "Too old."},
    }
    assert done(events={SESSION_REVOKED: members}) == Signal(
        channel=Channel.PUSH,
        id="j-1",
        target=SESSION,
        origin=Origin(
            by=ISSUER,
            event="session-revoked",
            title="the device manager",
            at=1_799_999_000_250_000,
            initiating_entity="policy",
            reason_admin="Policy C076E822",
        ),
        reason=Reason.IDENTITY_PROVIDER,
        issued_at=1_800_000_000 * SECOND,
        before=1_799_999_000_250_000,
        message="Too old.",
    )


def test_two_transmitters_of_one_name_are_told_by_whom_they_send_to() -> None:
    """As two streams of one transmitter are."""
    second = f'[[transmitter]]\niss = "{ISSUER}"\naud = "other"\ndelivery = "push"'
    file = settings(second)
    for aud, place in ((CLIENT, 0), ("other", 1), (["x", "other"], 1)):
        token = event_token(Case("", None, claims={"aud": aud}), SENDER, NOW)
        assert find_transmitter(token, file.transmitters) is file.transmitters[place]


def test_what_is_polled_says_so() -> None:
    """The channel is that of the transmitter."""
    file = read_document(
        f'[[issuer]]\niss = "{ISSUER}"\naudience = "api"\n'
        f'[[transmitter]]\niss = "{ISSUER}"\naud = "{CLIENT}"\ndelivery = "poll"\ntoken = "t"',
        max_lifetime=86400,
        leeway=0,
    )
    signal = done(file)
    assert signal is not None
    assert signal.channel is Channel.POLL


def test_logins_after_the_event_live() -> None:
    """It happened at its own time, else at ``toe``, else when the token was issued, never later."""
    cases: list[tuple[dict[str, Any], int]] = [
        (
            {"events": {SESSION_REVOKED: {"event_timestamp": 1_700_000_000}}, "toe": 5},
            1_700_000_000,
        ),
        ({"events": {SESSION_REVOKED: {}}, "toe": 1_700_000_000}, 1_700_000_000),
        ({"events": {SESSION_REVOKED: {}}, "iat": 1_700_000_000}, 1_700_000_000),
    ]
    for claims, second in cases:
        signal = done(**claims)
        assert signal is not None
        assert signal.before == second * SECOND + 999_999
    late = done(events={SESSION_REVOKED: {"event_timestamp": 1_900_000_000}})
    assert late is not None
    assert late.before == MICROS


def test_an_event_ends_logins_by_a_clock_that_is_ahead_but_none_of_later() -> None:
    """It did not happen after it was signed, and the leeway is how far that clock is ahead."""
    file = settings(leeway=60)
    second = 1_800_000_000
    for at, iat, before in (
        (..., second + 30, (second + 31) * SECOND - 1),
        (second + 20, second + 30, (second + 21) * SECOND - 1),
        (second + 30.5, second + 30, (second + 30.5) * SECOND),
        (second + 50, second + 30, (second + 31) * SECOND - 1),
        (1_900_000_000, second, (second + 1) * SECOND - 1),
        (..., second + 61, (second + 61) * SECOND),
    ):
        members = {} if at is ... else {"event_timestamp": at}
        signal = done(file, iat=iat, events={SESSION_REVOKED: members})
        assert signal is not None
        assert signal.before == before


# What each event does

WITH_SESSION = {
    "session-revoked": Reason.IDENTITY_PROVIDER,
    "device-compliance-change": Reason.POLICY,
    "assurance-level-change": Reason.POLICY,
}
WITH_USER = {
    "credential-change": Reason.PASSWORD_CHANGED,
    "risk-level-change": Reason.SUSPICIOUS,
    "account-disabled": Reason.IDENTITY_PROVIDER,
    "account-purged": Reason.IDENTITY_PROVIDER,
    "credential-compromise": Reason.SUSPICIOUS,
    "sessions-revoked": Reason.IDENTITY_PROVIDER,
    "tokens-revoked": Reason.IDENTITY_PROVIDER,
    "consent-revoked": Reason.IDENTITY_PROVIDER,
    "account-deleted": Reason.IDENTITY_PROVIDER,
}
TELLING = {
    "current_status": "not-compliant",
    "change_direction": "decrease",
    "current_level": "HIGH",
    "change_type": "update",
    "credential_type": "password",
}


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=lambda kind: kind.name)
def test_each_event_does_what_is_usual(kind: EventType) -> None:
    """By each of its URIs: ends the session, all sessions of the user, or nothing."""
    for uri in kind.uris:
        signal = of(uri, **TELLING)
        if kind.name not in WITH_SESSION | WITH_USER:
            assert signal is None
            continue
        assert signal is not None
        assert signal.reason == (WITH_SESSION | WITH_USER)[kind.name]
        assert signal.target == (SESSION if kind.name in WITH_SESSION else ADA)
        assert signal.origin.event == kind.name
        alone = of(uri, USER, **TELLING)
        assert alone is not None
        assert alone.target == ADA


@pytest.mark.parametrize(
    ("name", "members", "ends"),
    [
        ("device-compliance-change", {"current_status": "compliant"}, False),
        ("device-compliance-change", {}, False),
        ("assurance-level-change", {"change_direction": "increase"}, False),
        ("assurance-level-change", {"current_level": "nist-aal1"}, False),
        ("risk-level-change", {"current_level": "MEDIUM"}, False),
        ("risk-level-change", {"current_level": "LOW", "previous_level": "HIGH"}, False),
        ("risk-level-change", {"current_level": "high"}, True),
        ("credential-change", {"change_type": "create"}, False),
        ("credential-change", {"change_type": "revoke"}, True),
        ("credential-change", {"change_type": "delete"}, True),
        ("credential-change", {}, True),
    ],
)
def test_a_change_for_the_better_ends_nothing(
    name: str, members: dict[str, Any], ends: bool
) -> None:
    """Nor does one that does not say what changed, except of credentials."""
    assert (of(CAEP + name, **members) is not None) is ends


def test_the_settings_say_otherwise() -> None:
    """Also of events that the hub does not know, and only for what would do something."""
    file = settings(
        "[transmitter.events]",
        'session-revoked = "user"',
        'account-disabled = {ends = "session", reason = "suspicious", profile = "lost"}',
        'sessions-revoked = "nothing"',
        'risk-level-change = "session"',
        '"https://x.example/fired" = {ends = "user", reason = "policy"}',
    )

    def ended(uri: str, **members: Any) -> Signal | None:
        return done(file, events={uri: members})

    revoked = ended(SESSION_REVOKED)
    assert revoked is not None
    assert revoked.target == ADA
    disabled = ended(RISC + "account-disabled")
    assert disabled is not None
    assert (disabled.target, disabled.reason) == (SESSION, Reason.SUSPICIOUS)
    assert disabled.profile == "lost"
    assert ended(RISC + "sessions-revoked") is None
    assert ended(CAEP + "risk-level-change", current_level="LOW") is None
    risky = ended(CAEP + "risk-level-change", current_level="HIGH")
    assert risky is not None
    assert risky.reason is Reason.SUSPICIOUS
    fired = ended("https://x.example/fired")
    assert fired is not None
    assert (fired.target, fired.origin.event) == (ADA, "https://x.example/fired")


def test_all_of_a_user_whom_nobody_named_is_the_session() -> None:
    """An account is disabled, and only a session of it is known."""
    sub_id = {"format": "complex", "session": {"format": "opaque", "id": "s-1"}}
    signal = of(RISC + "account-disabled", sub_id)
    assert signal is not None
    assert signal.target == Target(ISSUER, None, "s-1")


def test_an_opaque_id_that_was_revoked_is_a_users_or_a_sessions() -> None:
    """Both end; no other event is of a session by its id alone, and no other format is opaque."""
    one = {"format": "opaque", "id": "ada"}
    for uri in (SESSION_REVOKED, RISC + "session-revoked"):
        signal = of(uri, one)
        assert signal is not None
        assert signal.targets == (ADA, Target(ISSUER, None, "ada"))
    by_mail = settings('subjects = "email"')
    alone = done(by_mail, sub_id=one, events={SESSION_REVOKED: {}})
    assert alone is not None
    assert alone.targets == (Target(ISSUER, None, "ada"),)
    assert done(by_mail, sub_id=one | {"id": "x" * 257}, events={SESSION_REVOKED: {}}) is None
    for uri, about in (
        (RISC + "account-disabled", one),
        (SESSION_REVOKED, USER),
        (SESSION_REVOKED, {"format": "complex", "user": one}),
        (SESSION_REVOKED, {"format": "aliases", "identifiers": [one, USER]}),
    ):
        other = of(uri, about)
        assert other is not None
        assert other.targets == (ADA,)


def test_several_uris_may_be_alternatives_for_one_event() -> None:
    """What the first one says counts, in the order in which the hub knows them."""
    at = 1_799_999_000
    for uris in ((CAEP, RISC), (RISC, CAEP)):
        events = {prefix + "session-revoked": {"event_timestamp": at} for prefix in uris}
        events[RISC + "session-revoked"] = {"event_timestamp": at - 500}
        event = read(events=events)
        assert (event.uri, event.name) == (SESSION_REVOKED, "session-revoked")
        assert event.at == at * SECOND
    stream = {prefix + "verification": {"state": prefix} for prefix in (RISC, SSF)}
    assert read(events=stream).state == SSF
    assert read(events=json.dumps(stream)).state == SSF


def test_what_is_about_somebody_else_does_nothing() -> None:
    """A user of another issuer, a device, or nobody."""
    foreign = {"format": "iss_sub", "iss": "https://evil.example", "sub": "ada"}
    assert of(SESSION_REVOKED, foreign) is None
    device = {"format": "complex", "device": {"format": "opaque", "id": "d-1"}}
    assert of(CAEP + "device-compliance-change", device, current_status="not-compliant") is None
    assert done(sub_id=..., events={"https://x.example/fired": {}}) is None


def test_events_of_the_stream_are_for_whoever_looks_after_it() -> None:
    """They end nothing, and their answer can be compared."""
    event = read(
        sub_id={"format": "opaque", "id": "ada"}, events={SSF + "verification": {"state": "abc"}}
    )
    assert (event.name, event.state) == ("verification", "abc")
    updated = read(events={SSF + "stream-updated": {"status": "paused", "reason": "full"}})
    assert (updated.name, updated.members["status"]) == ("stream-updated", "paused")
    assert of(SSF + "verification", USER) is None


def test_what_ends_nothing_may_say_anything() -> None:
    """Nothing depends on its subject and its time, unless the settings make it end something."""
    fired: dict[str, Any] = {"https://x.example/fired": {"event_timestamp": "now"}}
    healthy = {CAEP + "device-compliance-change": {"current_status": "compliant"}}
    odd: tuple[dict[str, Any], ...] = (
        {"sub_id": "ada", "events": fired},
        {"sub_id": "ada", "events": healthy},
        {"sub_id": ..., "toe": "now", "events": {RISC + "identifier-changed": {}}},
    )
    for claims in odd:
        assert done(**claims) is None
    ending = settings(
        "[transmitter.events]",
        '"https://x.example/fired" = "user"',
        'identifier-changed = "user"',
        'session-revoked = "nothing"',
    )
    for claims in (odd[0], odd[2], odd[0] | {"sub_id": SUBJECT}):
        with pytest.raises(SignalRefused):
            done(ending, **claims)
    assert done(ending, sub_id="ada", events={SESSION_REVOKED: {}}) is None


# Texts for people


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ({"en": "Hello"}, "Hello"),
        ({"de": "Hallo", "en": "Hello"}, "Hello"),
        ({"de": "Hallo", "EN": "Hello"}, "Hello"),
        ({"de": "Hallo", "en-GB": "Hello"}, "Hello"),
        ({"en-GB": "Hallo", "en": "Hello"}, "Hello"),
        ({"de": "Hallo", "fr": "Salut"}, "Hallo"),
        ({"en": " a\n\tb\x00c "}, "a b c"),
        ({"en": "x" * 501}, "x" * 500),
        ({"en": " "}, None),
        ({}, None),
        (None, None),
        ("as text", "as text"),
        (5, None),
        (["no"], None),
        ({"en": 5}, None),
        ({"en": None, "de": "Hallo"}, "Hallo"),
    ],
)
def test_a_reason_is_told_in_english_or_in_the_first_language(
    reason: Any, text: str | None
) -> None:
    """In one line of at most 500 characters."""
    event = read(events={SESSION_REVOKED: {"reason_user": reason, "reason_admin": reason}})
    assert (event.reason_user, event.reason_admin) == (text, text)


# Old forms


def test_old_forms_that_mean_one_thing_are_taken_and_told() -> None:
    """The subject in the event, as of Okta and Google, and events as text."""
    okta = read(sub_id=..., events={SESSION_REVOKED: {"subject": USER}})
    google = {"subject_type": "iss-sub", "iss": ISSUER, "sub": "ada"}
    risc = read(sub_id=..., events={RISC + "account-disabled": {"subject": google}})
    text = read(events=json.dumps({SESSION_REVOKED: {}}))
    assert okta.old_forms == ("the subject is in the event",)
    assert risc.old_forms == ("the subject is in the event", "the subject has no format")
    assert text.old_forms == ("events is text",)
    assert read().old_forms == ()


APPLES = {
    "type": "consent-revoked",
    "sub": "ada",
    "event_time": 1_799_999_000_250,
}
LEGACY = settings("legacy = true")


def test_apples_events_are_taken_of_a_legacy_transmitter() -> None:
    """They expire, and their time is in milliseconds."""
    claims: dict[str, Any] = {"sub_id": ..., "exp": NOW + 86400, "events": json.dumps(APPLES)}
    signal = done(LEGACY, **claims)
    assert signal is not None
    assert (signal.target, signal.before) == (ADA, 1_799_999_000_250_000)
    assert signal.origin.event == "consent-revoked"
    told = read(LEGACY, **claims).old_forms
    assert told == (
        "has exp",
        "events is text",
        "the event is flat",
        "the subject is in the event",
        "event_timestamp is in milliseconds",
    )
    with pytest.raises(SignalRefused):
        read(**claims)
    changed = read(LEGACY, **claims | {"events": json.dumps(APPLES | {"type": "email-disabled"})})
    assert (changed.kind, changed.uri) == (None, APPLE + "email-disabled")


@pytest.mark.parametrize(
    ("written", "at", "is_old"),
    [
        (1_799_999_000, 1_799_999_000_000_000, False),
        (1_799_999_000_250, 1_799_999_000_250_000, True),
        (1_799_999_000_250.5, 1_799_999_000_250_500, True),
        (253_402_300_799, MICROS, False),  # the last second that there is, not a day of 1978
        (253_402_300_800, 253_402_300_800_000, True),
    ],
)
def test_a_time_may_be_in_milliseconds_where_seconds_cannot_be_meant(
    written: float, at: int, is_old: bool
) -> None:
    """For all that say when something happened, and under each name; the log tells of it."""
    apples = APPLES | {"event_time": written}
    for settings_, claims in (
        (FILE, {"events": {SESSION_REVOKED: {"event_timestamp": written}}}),
        (FILE, {"events": {SESSION_REVOKED: {}}, "toe": written}),
        (LEGACY, {"sub_id": ..., "events": json.dumps(apples)}),
    ):
        signal = done(settings_, **claims)
        assert signal is not None
        assert signal.before is not None
        assert signal.before // 1_000_000 == at // 1_000_000
        told = read(settings_, **claims).old_forms
        assert any("milliseconds" in form for form in told) is is_old


@pytest.mark.parametrize("typ", [..., "JWT", "jwt", "secevent+jwt"])
def test_a_legacy_transmitter_need_not_type_its_events(typ: Any) -> None:
    """Others must, and an access token is no event of anybody."""
    case = Case("", None, header={"typ": typ})
    assert take(event_token(case, SENDER, NOW), LEGACY).name == "session-revoked"
    with pytest.raises(SignalRefused):
        take(event_token(Case("", None, header={"typ": "at+jwt"}), SENDER, NOW), LEGACY)


def test_a_legacy_event_may_expire_and_name_its_user_as_a_token_does() -> None:
    """Once it has expired, it is refused."""
    event = done(LEGACY, sub_id=..., sub="ada", exp=NOW + 60)
    assert event is not None
    assert event.target == ADA
    with pytest.raises(SignalRefused) as caught:
        read(LEGACY, exp=NOW - 1)
    assert caught.value.reason is Refusal.EXPIRED


@pytest.mark.parametrize(
    "apples",
    [
        APPLES | {"event_time": "now"},
        APPLES | {"event_time": True},
        APPLES | {"event_time": 1e300},
        APPLES | {"event_time": 10**400},
        APPLES | {"sub": 5},
        APPLES | {"type": "consent-revoked", "sub": None},
        APPLES | {"type": "x" * 600},
        {"type": 5, "sub": "ada"},
    ],
)
def test_a_malformed_event_of_apple_is_refused(apples: dict[str, Any]) -> None:
    """As those of others are."""
    with pytest.raises(SignalRefused):
        read(LEGACY, sub_id=..., events=json.dumps(apples))


@pytest.mark.parametrize(
    ("reason", "err"),
    [
        (Refusal.SIGNATURE, "invalid_key"),
        (Refusal.ISSUER, "invalid_issuer"),
        (Refusal.AUDIENCE, "invalid_audience"),
        (Refusal.AUTHORIZATION, "authentication_failed"),
        (Refusal.OFF, "access_denied"),
        (Refusal.STATE, "invalid_state"),
        (Refusal.EVENT, "invalid_request"),
        (Refusal.MALFORMED, "invalid_request"),
    ],
)
def test_a_transmitter_is_told_by_the_errors_of_its_protocol(reason: Refusal, err: str) -> None:
    """RFC 8935 section 2.4 lists them."""
    assert SignalRefused(reason, "why").err == err


def test_the_table_has_what_it_should() -> None:
    """At least 60 odd events, each with a name of its own."""
    names = [case.name for case in SECURITY_EVENTS]
    assert len(names) == len(set(names)) >= 60
