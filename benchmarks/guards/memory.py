"""Memory per revocation in a Python guard: ``python -m benchmarks.guards.memory COUNT``."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Iterator

from benchmarks.guards.issuer import ISS
from benchmarks.measures import resident_bytes
from hub.core.feed import Revocation
from hub.core.model import SECOND, Identity, Reason, Scope, user_key
from hub.guard.revocations import Revocations

AT = 1_700_000_000.0


def revocations(count: int) -> Iterator[Revocation]:
    """Yield revocations: half of them end all sessions of a user, half a single session."""
    for number in range(count):
        is_named = number % 2 == 1
        yield Revocation(
            scope=Scope.SESSION if is_named else Scope.ALL,
            reason=Reason.USER,
            at=AT + number / 1000,
            iss=ISS,
            user=f"user-{number}",
            sid=f"session-{number}" if is_named else None,
        )


def measure(count: int) -> dict[str, float]:
    """Return bytes per revocation, and how many more checks leave behind."""
    facts = Revocations()
    for one in revocations(1000):
        facts.apply(one)
    before = _resident()
    for one in revocations(count):
        facts.apply(one)
    full = _resident()
    _check(facts, count)
    warm = _resident()
    _check(facts, count)
    return {"bytes": (full - before) / count, "bytes a check": (_resident() - warm) / count}


def _check(facts: Revocations, count: int) -> None:
    for number in range(count):
        facts.judge(_identity(number), round(AT + count) * SECOND)


def _identity(number: int) -> Identity:
    iat = round(AT + number) * SECOND
    user = user_key(ISS, f"user-{number}")
    return Identity(user=user, sub="", iss=ISS, sid=f"session-{number}", iat=iat, exp=iat + SECOND)


def _resident() -> int:
    gc.collect()
    return resident_bytes([os.getpid()])


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
