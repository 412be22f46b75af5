"""The API is as its description says: requests that it allows, and requests that it does not."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hub.api.events import EVENT_TYPE
from hub.api.form import FORM
from hub.api.openapi import describe
from hub.api.routes import ROUTES
from tests.fuzz.examples import examples
from tests.fuzz.hub import FuzzedHub, fuzzed
from tests.fuzz.oracle import check_well
from tests.site import ADMIN, token

DOCUMENT = json.loads(describe(ROUTES))
OPERATIONS = [f"{route.method} {route.path}" for route in ROUTES]


@pytest.fixture(scope="module")
def hub() -> Iterator[FuzzedHub]:
    """A hub on the embedded store, which must be well at the end."""
    with fuzzed() as running:
        yield running
        check_well(running)


TOKENS = ("POST /backchannel-logout", "POST /events")
"""Calls whose bodies hold a signed token: what JSON Schema allows is refused for all else."""


ENDLESS = ("GET /revocations",)
"""Calls whose answer to an administrator does not end: they are made by others."""


def operation_of(hub: FuzzedHub, name: str) -> Any:
    """Return an operation of the description."""
    import schemathesis  # slow to import, and every worker imports every file of tests

    schemathesis.serializer.alias(EVENT_TYPE, "text/plain")
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.config.update(base_url=f"http://127.0.0.1:{hub.port}")
    method, path = name.split()
    return schema[path][method]


def _is_key(value: Any) -> bool:
    return (
        isinstance(value, str) and 0 < len(value) <= 256 and value.isascii() and value.isprintable()
    )


def _amend(case: Any) -> None:
    """Leave out what is refused for reasons that JSON Schema has no words for."""
    if _is_key((case.headers or {}).get("Idempotency-Key")):
        case.headers["Idempotency-Key"] = secrets.token_hex(8)  # used once, as keys are
    # What a query says that no call knows of is ignored, as everywhere.
    assume(set(case.query or {}) <= {"wait"})
    if isinstance(case.body, dict):
        if "idempotencyKey" in case.body:
            case.headers.pop("Idempotency-Key", None)  # two that differ
        if _is_key(case.body.get("idempotencyKey")):
            case.body["idempotencyKey"] = secrets.token_hex(8)
        if case.media_type == FORM:
            case.body.pop("client_secret", None)  # beside a header, it would be a second way
            # A list would stand there several times.
            assume(all(isinstance(value, str) for value in case.body.values()))
        # What a subject must be is the concern of RFC 9493.
        assume(not isinstance(case.body.get("sub_id"), dict))
        # To JSON Schema 60.0 is an integer.
        assume(not isinstance(case.body.get("spread_seconds"), float))


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_api_is_as_it_is_described(hub: FuzzedHub, name: str) -> None:
    """Answers are of the described form, and what the description forbids is refused."""
    from schemathesis import GenerationMode
    from schemathesis.checks import ignored_auth
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    excluded = [ignored_auth, *([positive_data_acceptance] if name in TOKENS else [])]
    operation = operation_of(hub, name)
    allowed = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    forbidden = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    owners = ["ada", None, *([] if name in ENDLESS else [ADMIN])]

    @examples(20)
    @given(case=allowed | forbidden, owner=st.sampled_from(owners))
    def call(case: Any, owner: str | None) -> None:
        bearer = token("ada", "s1") if owner == "ada" else owner
        _amend(case)
        headers = {"Authorization": f"Bearer {bearer}"}
        case.call_and_validate(headers=headers, excluded_checks=excluded)
        hub.check()

    call()
