"""Mints tickets: short-lived tokens for browsers of apps that have their own sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jwt
import msgspec

from hub.core.issuers import Entry, Source, find_entry
from hub.core.tokens import AUTH_TIME
from hub.core.verification_keys import prepare_secret


class Ticketing(msgspec.Struct, frozen=True):
    """How tickets are signed, and which claim names the hub expects."""

    secret: bytes
    algorithm: str = "HS256"
    issuer: str | None = None
    audience: str | None = None
    user: str = "sub"
    session: str = "sid"
    login_time: str = AUTH_TIME

    def mint(
        self,
        user: str,
        sid: str,
        now: float,
        *,
        lifetime: float,
        issuer: str | None = None,
        login_time: float | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a ticket for a session, issued at ``now``; times are in seconds."""
        members = {
            "iss": issuer or self.issuer,
            "aud": self.audience,
            "iat": now,
            "exp": now + lifetime,
            **(claims or {}),
            self.user: user,
            self.session: sid,
            self.login_time: login_time,
        }
        present = {name: value for name, value in members.items() if value is not None}
        return jwt.encode(present, self.secret, algorithm=self.algorithm)


def find_ticketing(
    secret: str | None, entries: Sequence[Entry], issuer: str | None = None
) -> Ticketing | None:
    """Return how to sign tickets for an issuer, by default the first whose key is a secret.

    ``secret`` is what to sign with, by default the entry's.

    Raises:
        ValueError: if it is not a secret.
    """
    named = None if issuer is None else find_entry(entries, issuer)
    signing = [entry for entry in entries if entry.keys.kind is Source.SECRET]
    entry = named or next(iter(signing), None)
    if entry is None or entry.keys.kind is not Source.SECRET:
        return None if secret is None else Ticketing(prepare_secret(secret))
    rules = entry.rules
    return Ticketing(
        secret=prepare_secret(secret or entry.keys.values[0]),
        algorithm=rules.algorithms[0],
        issuer=rules.issuer,
        audience=rules.audience[0] if rules.audience and "aud" in rules.audience_claims else None,
        user=rules.user[0],
        session=next((name for name in rules.session if name == "sid"), rules.session[0]),
        login_time=rules.login_time[0],
    )
