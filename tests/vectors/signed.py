"""A vector of tokens: whose they are by the rules of issuers, or that they are not valid."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from hub.access.issuers import Issuers
from hub.core.issuers import Entry, Source
from hub.core.issuers_table import read_entry
from hub.core.model import Identity
from hub.core.tokens import check_signature, identify, read_claims, read_header
from hub.core.verification_keys import load_public_key, prepare_secret
from hub.errors import TokenInvalid
from tests.vectors.keys import SECRET, sign

IAT = 1_700_000_000
CLAIMS: dict[str, Any] = {"sub": "ada", "iat": IAT, "exp": IAT + 600, "sid": "s-1"}
HEADER = {"alg": "HS256", "typ": "JWT"}
LIMITS = {"max_lifetime": 3600, "leeway": 0}
OWN = {"secret": SECRET, **LIMITS}
"""The table of an issuer whose secret is ours."""

Table = dict[str, Any]


def token(header: dict[str, Any] | None = None, /, **changes: Any) -> str:
    """Return a good token with some claims changed; one of ``...`` is left out."""
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not ...}
    return sign(json.dumps({**HEADER, **(header or {})}), json.dumps(claims), "HS256")


def raw(payload: str | bytes, header: str | bytes | None = None) -> str:
    """Return a token of these very texts."""
    return sign(json.dumps(HEADER) if header is None else header, payload, "HS256")


def vector(about: str, tables: Sequence[Table], tokens: Iterator[str]) -> dict[str, Any]:
    """Return a vector: the tables of issuers, their rules, and what is said of each token."""
    entries = [read_entry(table, max_lifetime=3600, leeway=0) for table in tables]
    return {
        "about": about,
        "issuers": tables,
        "rules": [msgspec.to_builtins(entry.rules) for entry in entries],
        "tokens": [{"token": one, **_expect(entries, one)} for one in dict.fromkeys(tokens)],
    }


def _expect(entries: Sequence[Entry], given: str) -> dict[str, Any]:
    try:
        identity = msgspec.to_builtins(_verify(entries, given))
    except TokenInvalid as error:
        return {"code": error.code}
    del identity["proof"]  # which is the hub's own
    return {"identity": identity}


def _verify(entries: Sequence[Entry], given: str) -> Identity:
    header = read_header(given)
    entry = Issuers(entries).find(header, read_claims(given).get("iss"))
    load = prepare_secret if entry.keys.kind is Source.SECRET else load_public_key
    refusal = TokenInvalid()
    for text in entry.keys.values:
        try:
            claims = check_signature(given, load(text), entry.rules)
        except TokenInvalid as error:
            refusal = error
        else:
            return identify(claims, given, entry.rules)
    raise refusal
