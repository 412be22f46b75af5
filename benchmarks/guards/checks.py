"""Compares checks by a Python guard with PyJWT: ``python -m benchmarks.guards.checks URL``."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jwt

from benchmarks.guards.issuer import GUARD_TOKEN, ISS, entries, mint, verification_key
from hub.guard import Guard, SyncGuard

ROUNDS = 7
CHECKS = 50_000
VERIFICATIONS = 2_000
ALGORITHMS = ("RS256", "HS256")
TOKENS = {algorithm: mint(algorithm, "ada", "s1") for algorithm in ALGORITHMS}


def measure(url: str) -> dict[str, float]:
    """Return microseconds per call, by what was called."""
    times: dict[str, list[float]] = {}
    with SyncGuard(url, token=GUARD_TOKEN, issuers=entries()) as guard:
        logged_in_at = guard.now()
        for _ in range(ROUNDS):
            for name, call, count in _calls(guard, logged_in_at):
                times.setdefault(name, []).append(_time(call, count))
    for one in asyncio.run(_measure_awaited(url)):
        times.setdefault("check, awaited", []).append(one)
    # The best round: whatever else the machine does only adds to it.
    return {name: min(values) for name, values in times.items()}


def _calls(guard: SyncGuard, logged_in_at: float) -> list[tuple[str, Callable[[], Any], int]]:
    calls: list[tuple[str, Callable[[], Any], int]] = [
        ("check_session", lambda: guard.check_session("ada", "s1", logged_in_at, ISS), CHECKS)
    ]
    for algorithm in ALGORITHMS:
        token, key = TOKENS[algorithm], verification_key(algorithm)
        check = partial(guard.check, token)
        verify = partial(jwt.decode, token, key, algorithms=[algorithm], issuer=ISS)
        calls.append((f"check {algorithm}", check, CHECKS))
        calls.append((f"verify {algorithm}", verify, VERIFICATIONS))
    return calls


def _time(call: Callable[[], Any], count: int) -> float:
    call()
    began = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - began) / count * 1e6


async def _measure_awaited(url: str) -> list[float]:
    async with Guard(url, token=GUARD_TOKEN, issuers=entries()) as guard:
        token = TOKENS["RS256"]
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            for _ in range(CHECKS):
                await guard.check(token)
            times.append((time.perf_counter() - began) / CHECKS * 1e6)
        return times


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
