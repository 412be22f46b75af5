"""Odd logout tokens and security events, each next to its valid twin: what becomes of it, and why.

The table is data, so that the rules can be held to it, and a running hub over HTTP as well. Each
case is the twin with some changes; the twin differs from it in nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from hub.core.event_types import CAEP, RISC, SSF
from hub.core.logout_tokens import LOGOUT_EVENT
from hub.core.refusal import Refusal

ISSUER = "https://id.example"
CLIENT = "shop-web"
"""The id of the app at the issuer: ``logout_audience``."""

Now = Callable[[float], Any]
"""A value that depends on the time at which the token is made."""


class Sender:
    """Somebody with an RS256 and an ES256 key, whose public keys the hub knows."""

    def __init__(self, iss: str = ISSUER) -> None:
        self.iss = iss

    @cached_property
    def keys(self) -> dict[str, Any]:
        """The private keys by algorithm, made when they are first used."""
        return {
            "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
            "ES256": ec.generate_private_key(ec.SECP256R1()),
        }

    def jwks(self) -> dict[str, Any]:
        """Return the key set to publish."""
        algorithms: dict[str, Any] = {
            "RS256": jwt.algorithms.RSAAlgorithm,
            "ES256": jwt.algorithms.ECAlgorithm,
        }
        return {
            "keys": [
                json.loads(algorithms[alg].to_jwk(key.public_key()))
                | {"alg": alg, "kid": alg, "use": "sig"}
                for alg, key in self.keys.items()
            ]
        }

    def pem(self) -> bytes:
        """Return the public RS256 key in PEM, which a forger might use as a secret."""
        public: bytes = (
            self.keys["RS256"]
            .public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        return public

    def sign(self, header: str, claims: str, alg: str = "RS256") -> str:
        """Return a token of these very texts."""
        signing = f"{_encode(header.encode())}.{_encode(claims.encode())}"
        algorithm = jwt.get_algorithm_by_name(alg)
        return f"{signing}.{_encode(algorithm.sign(signing.encode(), self.keys[alg]))}"


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True)
class Case:
    """An odd token: its twin with changes, and why it is refused; None if it is taken.

    A changed member of ``...`` is left out; a function gets the time. ``rewrite`` changes the JSON
    texts of header and claims, ``forge`` the signed token.
    """

    name: str
    reason: Refusal | None
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    alg: str = "RS256"
    rewrite: Callable[[str, str], tuple[str, str]] = lambda header, claims: (header, claims)
    forge: Callable[[str, Sender], str] = lambda token, sender: token

    def __str__(self) -> str:
        return self.name

    def token(self, sender: Sender, twin: dict[str, Any], typ: str, now: float) -> str:
        """Return the token; ``twin`` are the claims of its twin, whose ``typ`` is the given one."""
        header = _changed({"alg": self.alg, "typ": typ, "kid": self.alg}, self.header, now)
        claims = _changed(twin, self.claims, now)
        texts = self.rewrite(json.dumps(header), json.dumps(claims))
        return self.forge(sender.sign(*texts, alg=self.alg), sender)


def _changed(twin: dict[str, Any], changes: dict[str, Any], now: float) -> dict[str, Any]:
    changed = {
        name: value(now) if callable(value) else value for name, value in (twin | changes).items()
    }
    return {name: value for name, value in changed.items() if value is not ...}


def logout_claims(now: float, iss: str = ISSUER, **more: Any) -> dict[str, Any]:
    """Return the claims of a good logout token of the user ada's session s-1."""
    return {
        "iss": iss,
        "aud": CLIENT,
        "iat": int(now),
        "exp": int(now) + 120,
        "jti": secrets.token_hex(8),
        "sub": "ada",
        "sid": "s-1",
        "events": {LOGOUT_EVENT: {}},
        **more,
    }


# Ways to forge any token


def _unsigned(token: str, _: Sender) -> str:
    header, claims = token.split(".")[:2]
    changed = json.loads(_decode(header)) | {"alg": "none"}
    return f"{_encode(json.dumps(changed).encode())}.{claims}."


def _stripped(token: str, _: Sender) -> str:
    return token.rpartition(".")[0] + "."


def _by_public_key(token: str, sender: Sender) -> str:
    header = json.loads(_decode(token.split(".")[0])) | {"alg": "HS256"}
    signing = f"{_encode(json.dumps(header).encode())}.{token.split('.')[1]}"
    mac = hmac.new(sender.pem(), signing.encode(), hashlib.sha256).digest()
    return f"{signing}.{_encode(mac)}"


def _by_another_key(token: str, _: Sender) -> str:
    header, claims = (_decode(part).decode() for part in token.split(".")[:2])
    return Sender().sign(header, claims)


def _of_other_claims(token: str, _: Sender) -> str:
    header, claims, signature = token.split(".")
    changed = json.loads(_decode(claims)) | {"sub": "bob", "sid": "s-2"}
    return f"{header}.{_encode(json.dumps(changed).encode())}.{signature}"


def _decode(part: str) -> bytes:
    return jwt.utils.base64url_decode(part)


def _at(seconds: float) -> Now:
    """Return the time of a number of seconds from now, as a whole second."""
    return lambda now: int(now + seconds)


def _with_claim(text: str) -> Callable[[str, str], tuple[str, str]]:
    """Put a member in front of the others, whatever they are."""
    return _claims_as(lambda claims: f"{{{text}, {claims[1:]}")


def _logout(event: Any) -> dict[str, Any]:
    return {"events": {LOGOUT_EVENT: event}}


def _claims_as(change: Callable[[str], str]) -> Callable[[str, str], tuple[str, str]]:
    return lambda header, claims: (header, change(claims))


def _header_as(change: Callable[[str], str]) -> Callable[[str, str], tuple[str, str]]:
    return lambda header, claims: (change(header), claims)


FORGED = (
    Case("alg none", Refusal.SIGNATURE, forge=_unsigned),
    Case("no signature", Refusal.SIGNATURE, forge=_stripped),
    Case("HS256 with the public key", Refusal.SIGNATURE, forge=_by_public_key),
    Case("another key", Refusal.SIGNATURE, forge=_by_another_key),
    Case("other claims under the signature", Refusal.SIGNATURE, forge=_of_other_claims),
    Case("alg in small letters", Refusal.SIGNATURE, header={"alg": "rs256"}),
    Case("alg of another key", Refusal.SIGNATURE, header={"alg": "ES256"}),
    Case("alg a list", Refusal.SIGNATURE, header={"alg": ["RS256"]}),
    Case("crit", Refusal.SIGNATURE, header={"crit": ["exp"]}),
    Case("b64", Refusal.SIGNATURE, header={"b64": True}),
    Case("kid a number", Refusal.SIGNATURE, header={"kid": 1}),
    Case("kid of 257", Refusal.SIGNATURE, header={"kid": "k" * 257}),
    Case("over 8 KB", Refusal.MALFORMED, claims={"note": "x" * 8192}),
    Case("four parts", Refusal.MALFORMED, forge=lambda token, _: token + ".x"),
    Case("five parts, as if encrypted", Refusal.MALFORMED, forge=lambda token, _: token + ".x.y"),
    Case("opaque", Refusal.MALFORMED, forge=lambda token, _: "opaque"),
    Case("empty", Refusal.MALFORMED, forge=lambda token, _: ""),
    Case("not ASCII", Refusal.MALFORMED, forge=lambda token, _: token + "é"),
    Case("header an array", Refusal.MALFORMED, rewrite=_header_as(lambda text: f"[{text}]")),
    Case(
        "alg twice",
        Refusal.MALFORMED,
        rewrite=_header_as(lambda text: '{"alg": "none", ' + text[1:]),
    ),
    Case("claims not JSON", Refusal.MALFORMED, rewrite=_claims_as(lambda text: text[:-1])),
    Case("claims an array", Refusal.MALFORMED, rewrite=_claims_as(lambda text: f"[{text}]")),
    Case("claims NaN", Refusal.MALFORMED, rewrite=_with_claim('"x": NaN')),
    Case("iss twice", Refusal.MALFORMED, rewrite=_with_claim('"iss": "x"')),
    Case("events twice", Refusal.MALFORMED, rewrite=_with_claim('"events": {}')),
    Case("ES256", None, alg="ES256"),
    Case("no kid", None, header={"kid": ...}),
    Case("unknown members of the header", None, header={"jku": "https://evil.example", "x": 1}),
)  # fmt: skip
"""What may be odd about any signed token: its form and its signature."""

COMMON = (
    Case("iss of another", Refusal.ISSUER, claims={"iss": "https://evil.example"}),
    Case("iss with a slash", Refusal.ISSUER, claims={"iss": ISSUER + "/"}),
    Case("aud of another", Refusal.AUDIENCE, claims={"aud": "other"}),
    Case("aud of others", Refusal.AUDIENCE, claims={"aud": ["other", "more"]}),
    Case("aud empty", Refusal.AUDIENCE, claims={"aud": []}),
    Case("no aud", Refusal.AUDIENCE, claims={"aud": ...}),
    Case("aud null", Refusal.AUDIENCE, claims={"aud": None}),
    Case("aud a number", Refusal.MALFORMED, claims={"aud": 1}),
    Case("aud in an object", Refusal.MALFORMED, claims={"aud": {CLIENT: True}}),
    Case("no iat", Refusal.MALFORMED, claims={"iat": ...}),
    Case("iat text", Refusal.MALFORMED, claims={"iat": lambda now: str(int(now))}),
    Case("iat true", Refusal.MALFORMED, claims={"iat": True}),
    Case("iat negative", Refusal.MALFORMED, claims={"iat": -1}),
    Case("iat in milliseconds", Refusal.MALFORMED, claims={"iat": lambda now: int(now) * 1000}),
    Case("iat from the future", Refusal.FUTURE, claims={"iat": _at(120)}),
    Case("nbf from the future", Refusal.FUTURE, claims={"nbf": _at(120)}),
    Case("no jti", Refusal.MALFORMED, claims={"jti": ...}),
    Case("jti null", Refusal.MALFORMED, claims={"jti": None}),
    Case("jti empty", Refusal.MALFORMED, claims={"jti": ""}),
    Case("jti a number", Refusal.MALFORMED, claims={"jti": 7}),
    Case("jti of 257", Refusal.MALFORMED, claims={"jti": "j" * 257}),
    Case("no events", Refusal.EVENT, claims={"events": ...}),
    Case("events null", Refusal.EVENT, claims={"events": None}),
    Case("events an array", Refusal.EVENT, claims={"events": [LOGOUT_EVENT]}),
    Case("events empty", Refusal.EVENT, claims={"events": {}}),
    Case("iat with a fraction", None, claims={"iat": lambda now: now - 1.25}),
    Case("unknown claims", None, claims={"txn": "t", "trace_id": 5, "auth_time": "x"}),
)
"""What may be odd about the claims of either kind; ``aud`` of the twin is `CLIENT`."""

WRONG_TYPES: tuple[Any, ...] = (
    "at+jwt", "secevent+jwt", "dpop+jwt", "id+jwt", "logout", "JWT ", "", 5, [], {},
)  # fmt: skip

LOGOUT_TYP = (
    *(Case(f"typ {typ}", Refusal.TYPE, header={"typ": typ}) for typ in WRONG_TYPES),
    *(
        Case(f"typ {typ}", None, header={"typ": typ})
        for typ in (
            "JWT", "jwt", "application/JWT", "logout+jwt", "LOGOUT+JWT", "Application/Logout+JWT",
        )
    ),
    Case("no typ", None, header={"typ": ...}),
)  # fmt: skip

LOGOUT_CLAIMS = (
    Case("another event", Refusal.EVENT, claims={"events": {"http://x.example/logout": {}}}),
    Case("events with https", Refusal.EVENT, claims={"events": {"https" + LOGOUT_EVENT[4:]: {}}}),
    Case("the event null", Refusal.EVENT, claims=_logout(None)),
    Case("the event true", Refusal.EVENT, claims=_logout(True)),
    Case("the event an array", Refusal.EVENT, claims=_logout([])),
    Case("events text", Refusal.EVENT, claims={"events": LOGOUT_EVENT}),
    Case("events as JSON text", Refusal.EVENT, claims={"events": json.dumps(_logout({}))}),
    Case("a nonce", Refusal.NONCE, claims={"nonce": "n"}),
    Case("an empty nonce", Refusal.NONCE, claims={"nonce": ""}),
    Case("neither sub nor sid", Refusal.SUBJECT, claims={"sub": ..., "sid": ...}),
    Case("sub and sid null", Refusal.SUBJECT, claims={"sub": None, "sid": None}),
    Case("sid empty", Refusal.SUBJECT, claims={"sid": ""}),
    Case("sid an array", Refusal.SUBJECT, claims={"sid": ["s-1"]}),
    Case("sid of 257", Refusal.SUBJECT, claims={"sid": "s" * 257}),
    Case("sid with a control", Refusal.SUBJECT, claims={"sid": "s-1\n"}),
    Case("sub empty", Refusal.SUBJECT, claims={"sub": "", "sid": ...}),
    Case("sub an object", Refusal.SUBJECT, claims={"sub": {"id": "ada"}, "sid": ...}),
    Case("sub true", Refusal.SUBJECT, claims={"sub": True, "sid": ...}),
    Case("no exp", Refusal.MALFORMED, claims={"exp": ...}),
    Case("exp null", Refusal.MALFORMED, claims={"exp": None}),
    Case("exp text", Refusal.MALFORMED, claims={"exp": "never"}),
    Case("expired", Refusal.EXPIRED, claims={"iat": _at(-180), "exp": _at(-60)}),
    Case("exp before iat", Refusal.EXPIRED, claims={"exp": _at(-1)}),
    Case("exp in ten years", None, claims={"exp": _at(315_360_000)}),
    Case("no iss", Refusal.ISSUER, claims={"iss": ...}),
    Case("an ID token", Refusal.EVENT, claims={"events": ..., "nonce": "n", "at_hash": "h"}),
    Case("aud a list of many", None, claims={"aud": ["other", CLIENT]}),
    Case("the event with members", None, claims=_logout({"revoke_offline_access": True})),
    Case("another event beside it", None, claims={"events": {"urn:x": {}, LOGOUT_EVENT: {}}}),
    Case("nonce null", None, claims={"nonce": None}),
    Case("sid alone", None, claims={"sub": ...}),
    Case("sub alone", None, claims={"sid": ...}),
    Case("sub null", None, claims={"sub": None}),
    Case("issued an hour ago", None, claims={"iat": _at(-3600)}),
)  # fmt: skip

LOGOUT_TOKENS = (*FORGED, *COMMON, *LOGOUT_TYP, *LOGOUT_CLAIMS)
"""Every case of a logout token, at an entry that requires ``exp``; most end ada's session s-1."""


def logout_token(case: Case, sender: Sender, now: float, **twin: Any) -> str:
    """Return the logout token of a case; ``twin`` are claims that its twin has, too."""
    return case.token(sender, logout_claims(now, sender.iss) | twin, "logout+jwt", now)


SESSION_REVOKED = CAEP + "session-revoked"
SUBJECT = {
    "format": "complex",
    "user": {"format": "iss_sub", "iss": ISSUER, "sub": "ada"},
    "session": {"format": "opaque", "id": "s-1"},
}


def event_claims(now: float, iss: str = ISSUER, **more: Any) -> dict[str, Any]:
    """Return the claims of a good event: ada's session s-1 was revoked."""
    return {
        "iss": iss,
        "aud": CLIENT,
        "iat": int(now),
        "jti": secrets.token_hex(8),
        "sub_id": SUBJECT,
        "events": {SESSION_REVOKED: {"event_timestamp": int(now)}},
        **more,
    }


def _revoked(**members: Any) -> dict[str, Any]:
    return {"events": {SESSION_REVOKED: members}}


def _event(uri: str, **members: Any) -> dict[str, Any]:
    return {"events": {uri: members}}


NO_EVENT_TYPES: tuple[Any, ...] = (
    "JWT", "at+jwt", "logout+jwt", "application/jwt", "secevent", "secevent+jwt ", "", None, 5, [],
)  # fmt: skip

EVENT_TYP = (
    Case("no typ", Refusal.TYPE, header={"typ": ...}),
    *(Case(f"typ {typ}", Refusal.TYPE, header={"typ": typ}) for typ in NO_EVENT_TYPES),
    Case("typ in capitals", None, header={"typ": "SECEVENT+JWT"}),
    Case("typ as a media type", None, header={"typ": "application/secevent+jwt"}),
)

EVENT_CLAIMS = (
    Case("exp", Refusal.TYPE, claims={"exp": _at(120)}),
    Case("sub", Refusal.TYPE, claims={"sub": "ada"}),
    Case("a nonce", Refusal.NONCE, claims={"nonce": "n"}),
    Case("no iss", Refusal.ISSUER, claims={"iss": ...}),
    Case("no sub_id", Refusal.SUBJECT, claims={"sub_id": ...}),
    Case("sub_id null", Refusal.SUBJECT, claims={"sub_id": None}),
    Case("sub_id text", Refusal.SUBJECT, claims={"sub_id": "ada"}),
    Case("sub_id without a format", Refusal.SUBJECT, claims={"sub_id": {"id": "ada"}}),
    Case(
        "iss_sub without iss",
        Refusal.SUBJECT,
        claims={"sub_id": {"format": "iss_sub", "sub": "a"}},
    ),
    Case(
        "a complex subject in another",
        Refusal.SUBJECT,
        claims={"sub_id": {"format": "complex", "user": SUBJECT}},
    ),
    Case("two events", Refusal.EVENT, claims={"events": {SESSION_REVOKED: {}, "urn:x": {}}}),
    Case(
        "two events that are known",
        Refusal.EVENT,
        claims={"events": {SESSION_REVOKED: {}, RISC + "sessions-revoked": {}}},
    ),
    Case(
        "two names of an event, and another",
        Refusal.EVENT,
        claims={"events": {SESSION_REVOKED: {}, RISC + "session-revoked": {}, "urn:x": {}}},
    ),
    Case(
        "two names of an event, one null",
        Refusal.EVENT,
        claims={"events": {SESSION_REVOKED: {}, RISC + "session-revoked": None}},
    ),
    Case(
        "two names of an event",
        None,
        claims={"events": {RISC + "session-revoked": {}, SESSION_REVOKED: {}}},
    ),
    Case("the event null", Refusal.EVENT, claims={"events": {SESSION_REVOKED: None}}),
    Case("the event an array", Refusal.EVENT, claims={"events": {SESSION_REVOKED: []}}),
    Case("the event text", Refusal.EVENT, claims={"events": {SESSION_REVOKED: "now"}}),
    Case("an event without a name", Refusal.EVENT, claims={"events": {"": {}}}),
    Case("an event with a control", Refusal.EVENT, claims={"events": {"urn:x\n": {}}}),
    Case("events text, no JSON", Refusal.EVENT, claims={"events": SESSION_REVOKED}),
    Case("events text, an array", Refusal.EVENT, claims={"events": "[]"}),
    Case(
        "events text, an event twice",
        Refusal.EVENT,
        claims={"events": '{"urn:x": {}, "urn:x": {}}'},
    ),
    Case("event_timestamp text", Refusal.MALFORMED, claims=_revoked(event_timestamp="now")),
    Case("event_timestamp negative", Refusal.MALFORMED, claims=_revoked(event_timestamp=-1)),
    Case(
        "event_timestamp in microseconds",
        Refusal.MALFORMED,
        claims=_revoked(event_timestamp=1.8e15),
    ),
    Case(
        "event_timestamp in milliseconds",
        None,
        claims={"events": lambda now: {SESSION_REVOKED: {"event_timestamp": int(now * 1000)}}},
    ),
    Case("toe true", Refusal.MALFORMED, claims=_revoked() | {"toe": True}),
    Case("initiating_entity a number", None, claims=_revoked(initiating_entity=5)),
    Case("reason_user an array", None, claims=_revoked(reason_user=["no"])),
    Case("reason_admin of numbers", None, claims=_revoked(reason_admin={"en": 5})),
    Case(
        "current_level a number",
        Refusal.MALFORMED,
        claims=_event(CAEP + "risk-level-change", current_level=3),
    ),
    Case(
        "an unknown event with anything in it",
        None,
        claims=_event("https://x.example/fired", subject="ada", event_timestamp="2024-01-01")
        | {"sub_id": 5, "toe": "now"},
    ),
    Case(
        "verification with anything in it",
        None,
        claims=_event(SSF + "verification", event_timestamp="now") | {"sub_id": "stream"},
    ),
    Case(
        "an event that does nothing, with anything in it",
        None,
        claims=_event(RISC + "account-enabled") | {"sub_id": {"format": "iss_sub"}, "toe": []},
    ),
    Case("aud a list of many", None, claims={"aud": ["other", CLIENT]}),
    Case("exp and sub null", None, claims={"exp": None, "sub": None}),
    Case("no event_timestamp", None, claims=_revoked()),
    Case("toe", None, claims=_revoked() | {"toe": _at(-1)}),
    Case("unknown members of the event", None, claims=_revoked(x={"y": [None]})),
    Case("an unknown initiating_entity", None, claims=_revoked(initiating_entity="moon")),
    Case("reason_user empty", None, claims=_revoked(reason_user={})),
    Case("an unknown event", None, claims=_event("https://x.example/fired") | {"sub_id": ...}),
    Case("an event with a state of its own", None, claims=_revoked(state={"is": ["mine"]})),
    Case("an unknown event's state", None, claims=_event("https://x.example/on", state=5)),
    Case(
        "a state that is no text",
        Refusal.MALFORMED,
        claims=_event(SSF + "verification", state=5),
    ),
    Case(
        "a subject of somebody else",
        None,
        claims={"sub_id": {"format": "email", "email": "a@b"}},
    ),
    Case("an unknown format", None, claims={"sub_id": {"format": "urn:x", "y": 1}}),
    Case("sub_id and subject", None, claims=_revoked(subject={"format": "opaque", "id": "bob"})),
    Case("Okta's subject in the event", None, claims=_revoked(subject=SUBJECT) | {"sub_id": ...}),
    Case("events as JSON text", None, claims={"events": json.dumps({SESSION_REVOKED: {}})}),
    Case(
        "Google's subject_type",
        None,
        claims=_revoked(subject={"subject_type": "iss-sub", "iss": ISSUER, "sub": "ada"})
        | {"sub_id": ...},
    ),
    Case(
        "verification without a subject",
        None,
        claims=_event(SSF + "verification") | {"sub_id": ...},
    ),
)  # fmt: skip

SECURITY_EVENTS = (*FORGED, *COMMON, *EVENT_TYP, *EVENT_CLAIMS)
"""Every case of an event token, at a transmitter that is not ``legacy``.

Those that are taken may end ada's session s-1, all of hers, or nothing.
"""


def event_token(case: Case, sender: Sender, now: float, **twin: Any) -> str:
    """Return the event token of a case; ``twin`` are claims that its twin has, too."""
    return case.token(sender, event_claims(now, sender.iss) | twin, "secevent+jwt", now)


TWIN = Case("the twin", None)
"""The case without any change."""
