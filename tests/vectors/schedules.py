"""Histories of fetches of a key set, and when it is fetched next."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

from hub.core.key_schedule import (
    COOL_DOWN,
    FAILED_COOL_DOWN,
    FIRST_COOL_DOWN,
    KEY_SET_LIFETIME,
    RENEWED_EARLY,
    KeySchedule,
)

FETCHED, FAILED, FOUND, LACKED = "fetched", "failed", "found", "lacked"
PAUSES = (FIRST_COOL_DOWN, FAILED_COOL_DOWN, COOL_DOWN, KEY_SET_LIFETIME - RENEWED_EARLY)

PLAIN: dict[str, list[tuple[float, str]]] = {
    "nothing was fetched yet": [],
    "the first fetch failed": [(5, FAILED)],
    "the first keys": [(5, FETCHED)],
    "the first keys, fetched for one of them": [(5, FETCHED), (5, FOUND)],
    "the first keys, fetched for another one": [(5, FETCHED), (5, LACKED)],
    "a new key was fetched": [(5, FETCHED), (90, FETCHED), (90, FOUND)],
    "a made-up key": [(5, FETCHED), (90, FETCHED), (90, LACKED)],
    "a key that could not be fetched": [(5, FETCHED), (90, FAILED), (90, LACKED)],
    "and was fetched then": [
        (5, FETCHED), (90, FAILED), (90, LACKED), (96, FETCHED), (96, FOUND),
    ],
    "made-up keys, until the issuer fails": [
        (5, FETCHED), (90, FETCHED), (90, LACKED), (121, FAILED), (121, LACKED),
    ],
    "an hourly fetch that failed": [(5, FETCHED), (3546, FAILED)],
    "and one that did not": [(5, FETCHED), (3546, FAILED), (3577, FETCHED)],
}  # fmt: skip


def vectors() -> Iterator[dict[str, Any]]:
    """Return one vector for each history."""
    for about, events in PLAIN.items():
        yield _vector(about, events)
    chance = random.Random(1)  # noqa: S311 - the same vectors each time
    for number in range(60):
        yield _vector(f"history {number}", [*_history(chance)])


def _history(chance: random.Random) -> Iterable[tuple[float, str]]:
    at = 0.0
    for _ in range(chance.randrange(1, 12)):
        at += chance.choice([*PAUSES, chance.randrange(1, 9)]) + chance.choice([-0.5, 0, 0.5])
        yield at, chance.choice([FETCHED, FETCHED, FAILED])
        if chance.random() < 0.6:
            yield at, chance.choice([FOUND, LACKED])


def _vector(about: str, events: Iterable[tuple[float, str]]) -> dict[str, Any]:
    schedule, end, told = KeySchedule(), 0.0, []
    for at, event in events:
        if event in (FETCHED, FAILED):
            schedule = schedule.after_fetch(at, succeeded=event == FETCHED)
        else:
            schedule = schedule.after_look(at, found=event == FOUND)
        told.append({"at": at, "event": event})
        end = at
    looked = sorted({end + pause + step for pause in (0.0, *PAUSES) for step in (0, 0.25)})
    return {
        "about": about,
        "events": told,
        "fetched": schedule.fetched,
        "is_failing": schedule.is_failing,
        "then": [
            {"now": now, "is_due": schedule.is_due(now), "wait": schedule.wait(now)}
            for now in looked
        ],
    }
