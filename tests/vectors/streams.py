"""The vectors of the feed: what a guard hears of it, and whom it refuses by that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, TypeAlias

import msgspec

from hub.core.feed import Confirmation, Ready, Reset, Revocation, Snapshot, micros
from hub.core.model import SECOND, Micros, Scope, seconds
from tests.vectors.event_stream import read_events
from tests.vectors.judged import PARTITIONS, Case, T, everyone, expect, partition_of, revoked

NOW = seconds(T + 20 * SECOND)
LIFETIME = 30 * 86400
ADA = partition_of("https://id.example", "ada")

Response: TypeAlias = tuple[float, str]
"""When a guard asked, by its own clock, and what it was sent."""


def vectors() -> Iterator[dict[str, Any]]:
    """Yield every vector, always the same."""
    random = Random(17)  # noqa: S311 - the same cuts each time
    for about, stream in _streams():
        yield {"about": about, "connections": [_connection(random, (0.0, stream))]}
    for about, responses in _feeds():
        yield {
            "about": about,
            "connections": [_connection(random, response) for response in responses],
            **_conclude(responses),
        }


def _connection(random: Random, response: Response) -> dict[str, Any]:
    asked_at, stream = response
    size = len(stream.encode())
    cuts = sorted({random.randrange(size) for _ in range(min(size, 5))})
    return {"asked_at": asked_at, "stream": stream, "cuts": cuts, "events": read_events(stream)}


# What holds for every stream of events


def _streams() -> Iterator[tuple[str, str]]:
    """Yield streams that do not hold the feed but anything that a parser must read rightly."""
    two = "event: a\ndata: 1\nid: x\n\ndata: 2\n\n"
    yield "lines that end as usual", two
    yield "lines that end with CR LF", two.replace("\n", "\r\n")
    yield "lines that end with CR", two.replace("\n", "\r")
    yield "lines that end in every way", "data: 1\r\n\ndata: 2\r\rdata: 3\n\r\ndata: 4\r\n\r\n"
    yield "a byte order mark", "\ufeffdata: 1\n\n"
    yield "a byte order mark that is not at the beginning", "data: 1\n\ufeffdata: 2\n\n"
    yield "comments", ": hello\n\n:\ndata: 1\n: in between\ndata: 2\n\n:"
    yield "fields with and without a space", "data:1\ndata: 2\ndata:  3\ndata\ndata:\n\n"
    yield "fields without a colon", "data\n\nevent\ndata: 1\n\nid\ndata: 2\n\n"
    yield "unknown fields", "other: 1\n data: 2\nDATA: 3\ndatax: 4\ndata: 5\nretry: 100\n\n"
    yield "an event without data", "event: a\n\ndata: 1\n\nid: x\n\ndata: 2\n\n"
    yield "data with colons", 'data: {"a":"b: c"}\ndata: :\n\n'
    yield "an id that lasts", "id: x\ndata: 1\n\ndata: 2\n\nid: y\ndata: 3\n\nid:\ndata: 4\n\n"
    yield "an id with a null", "id: x\ndata: 1\n\nid: y\0z\ndata: 2\n\n"
    yield "the last of several names and ids", "event: a\nevent: b\nid: x\nid: y\ndata: 1\n\n"
    yield "an event that is not complete", "data: 1\n\nid: x\ndata: 2\n"
    yield "a line that is not complete", "data: 1\n\nid: x\ndata: 2\n\ndata: 3"
    yield "characters that end no line", "data: \u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e 1\n\n"
    yield "characters of several bytes", "event: é\ndata: 王 😀 e\u0301\nid: ü\n\n"
    yield "an empty stream", "\n"
    yield "empty lines", "\n\n\r\n\r\n\n\ndata: 1\n\n\n\n\n"
    yield "long data", f"data: {'x' * 3000}\ndata: {'y' * 3000}\n\n"


# What the feed says


def _say(event: str, data: Any, place: str | None = None) -> str:
    """Return an event of the feed; ``place`` is the position in the log."""
    text = msgspec.json.encode(data).decode() if isinstance(data, msgspec.Struct) else data
    name = "" if place is None else f"id: {place}\n"
    return f"event: {event}\n{name}data: {text}\n\n"


def _snapshot(*revocations: Revocation) -> str:
    return _say("snapshot", Snapshot(revocations))


def _ready(place: str = "p0", elapsed: float = 0.25, late: dict[int, float] | None = None) -> str:
    return _say("ready", Ready(NOW, elapsed, PARTITIONS, LIFETIME, late or {}), place)


def _logout(place: str, revocation: Revocation) -> str:
    return _say("logout", revocation, place)


def _confirmed(elapsed: float, late: dict[int, float] | None = None) -> str:
    return _say("confirmed", Confirmation(NOW, elapsed, late or {}))


def _reset() -> str:
    return _say("reset", Reset("the log does not reach back to there"))


def _feeds() -> Iterator[tuple[str, list[Response]]]:
    """Yield what the hub says over one or several connections."""
    old, new = revoked(T), revoked(T + 9 * SECOND)
    bob = revoked(T, user="bob", scope=Scope.SESSION, sid="a")
    first = _snapshot(old) + _ready()
    yield "nothing yet", [(10.0, _snapshot(old))]
    yield "nothing is in force", [(10.0, _ready())]
    yield "what is in force", [(10.0, first)]
    yield "in two parts", [(10.0, _snapshot(old) + _snapshot(bob) + _ready())]
    yield "an empty part", [(10.0, _snapshot() + first)]
    yield "a logout is heard", [(10.0, first + _logout("p1", new))]
    yield "two are heard", [(10.0, first + _logout("p1", new) + _logout("p2", bob))]
    yield "one is heard before all is known", [(10.0, _logout("p1", new) + first)]
    yield "one is heard twice", [(10.0, _snapshot(new) + _ready() + _logout("p1", new))]
    yield "an older one is heard later", [(10.0, _snapshot(new) + _ready() + _logout("p1", old))]
    yield "a confirmation", [(10.0, first + _confirmed(1.5) + _confirmed(2.5))]
    yield "a confirmation of less", [(10.0, first + _confirmed(2.5) + _confirmed(1.5))]
    late = {ADA: -3.0, (ADA + 1) % PARTITIONS: 0.5}
    yield "a partition that is late", [(10.0, first + _confirmed(2.5, late))]
    yield "a partition that is late from the start", [(10.0, _ready(late=late))]
    caught_up = _confirmed(2.5, late) + _confirmed(3.5)
    yield "a partition that caught up", [(10.0, first + caught_up)]
    known_better = _confirmed(5.0) + _confirmed(6.0, late)
    yield "a partition that was known better", [(10.0, first + known_better)]
    everyones = _logout("p1", everyone(ADA, T + 9 * SECOND))
    yield "everyone in a partition", [(10.0, first + everyones)]
    there = everyone((ADA + 1) % PARTITIONS, T + 9 * SECOND)
    yield "everyone in another partition", [(10.0, first + _logout("p1", there))]
    refusal = revoked(T + 9 * SECOND, user=None, scope=Scope.SESSION, sid="a")
    yield "a session of an issuer", [(10.0, first + _logout("p1", refusal))]
    yield "it goes on elsewhere", [(10.0, first + _logout("p1", bob)), (30.0, _logout("p2", new))]
    yield "it goes on, and says that it is ready", [(10.0, first), (30.0, _ready("p0", 0.5))]
    yield (
        "it goes on at a replica that knows less",
        [(10.0, first + _confirmed(9.0)), (18.0, _confirmed(0.5)), (18.5, _confirmed(1.0))],
    )
    cut_short = _logout("p1", new)[:-1]
    yield "a logout that is cut short", [(10.0, first + cut_short)]
    yield (
        "a logout that is cut short, and heard again",
        [(10.0, first + cut_short), (30.0, _logout("p1", new) + _confirmed(0.5))],
    )
    yield "a reset, and nothing yet", [(10.0, first + _reset())]
    yield "a reset, and what came meanwhile", [(10.0, first + _reset() + _logout("p9", new))]
    yield "a reset, and all anew", [(10.0, first + _reset() + _snapshot(new) + _ready("q0"))]
    yield "a reset, and nothing of what was", [(10.0, first + _reset() + _ready("q0"))]
    yield (
        "a reset, and a logout before all is known",
        [(10.0, first + _reset() + _logout("q1", new) + _snapshot(bob) + _ready("q1"))],
    )
    yield (
        "a reset instead of going on",
        [(10.0, first), (30.0, _reset() + _snapshot(bob) + _ready("q0", 0.5))],
    )
    yield (
        "a reset that is cut short, and all anew",
        [(10.0, first), (30.0, _reset()), (31.0, _snapshot(new) + _ready("q0"))],
    )
    yield "events that nobody knows", [(10.0, _say("other", "x") + first + _say("another", "{}"))]
    yield "lines that end otherwise", [(10.0, (first + _logout("p1", new)).replace("\n", "\r\n"))]
    for name, value in (("member", 1), ("reason", "a reason of tomorrow")):
        told = json.dumps({**msgspec.to_builtins(new), name: value})
        yield f"a {name} that nobody knows", [(10.0, first + _say("logout", told, "p1"))]
    told = msgspec.json.encode(new).decode().replace(",", ",\ndata: ")
    yield "JSON on several lines", [(10.0, first + _say("logout", told, "p1"))]
    odd = revoked(T, user="王|%41 \u2028", message='say "hi"\n', id="l-1", by="https://é.example")
    yield "odd texts", [(10.0, first + _logout("p1", odd))]


# What follows from it


def _conclude(responses: Sequence[Response]) -> dict[str, Any]:
    """Return what is known in the end, until when, and from where to go on."""
    facts: list[Revocation] = []
    is_whole = False
    known: list[float | None] = [None] * PARTITIONS
    place = ""
    for asked_at, stream in responses:
        for event in read_events(stream, place):
            data = event["data"].encode()
            match event["event"]:
                case "snapshot":
                    facts.extend(_read(data, Snapshot).revocations)
                case "logout":
                    facts.append(_read_logout(data))
                case "ready":
                    is_whole = True
                    known = _confirm(known, asked_at, _read(data, Ready))
                case "confirmed" if is_whole:
                    known = _confirm(known, asked_at, _read(data, Confirmation))
                case "reset":
                    is_whole = False
            place = event["id"]
    if known[0] is None:
        return {"known_until": None}
    concluded = {
        "known_until": known,
        "partitions": PARTITIONS,
        "judged": [{**case, **expect(facts, case)} for case in _cases()],
    }
    return concluded | ({"last_event_id": place} if is_whole else {})


def _confirm(
    known: Sequence[float | None], asked_at: float, told: Confirmation | Ready
) -> list[float | None]:
    given = [asked_at + told.late.get(number, told.elapsed) for number in range(PARTITIONS)]
    return [max(one, old or one) for one, old in zip(given, known, strict=True)]


def _read(data: bytes, kind: Any) -> Any:
    return msgspec.json.decode(data, type=kind)


def _read_logout(data: bytes) -> Revocation:
    told = msgspec.json.decode(data)
    if told["reason"] == "a reason of tomorrow":
        told["reason"] = "policy"
    return msgspec.convert(told, type=Revocation)


def _cases() -> Iterator[Case]:
    """Yield identities that began before, between and after the logouts."""
    for user in ("ada", "bob"):
        for begun in (T - 60 * SECOND, T + 5 * SECOND + 1, T + 15 * SECOND):
            yield _case(user, begun)
    yield _case("王|%41 \u2028", T - 60 * SECOND)


def _case(user: str, iat: Micros) -> Case:
    who = {"iss": "https://id.example", "user": user, "sid": "a"}
    return {"now": micros(NOW), **who, "iat": iat, "exp": iat + 3600 * SECOND}
