"""The checker is checked: it must catch a hub that is broken on purpose, each in its own way.

A mutant is a copy of ``hub/`` with a few lines changed. It runs under a schedule that makes its
harm likely, and the checker must find a violation of the promise that it breaks. The unchanged hub
must pass the same schedule. Where another layer heals the harm, the mutant takes that layer out of
the way as well (``beside``), and the hub with only that change must pass.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.faults.cluster import ROOT
from tests.faults.run import Options, Outcome, run

TRIES = 3
"""A schedule makes a harm likely, not certain; so often it is tried, with another seed each."""


@dataclass(frozen=True)
class Edit:
    """Some text of a file below ``hub/`` that is replaced; it must stand there exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """A broken hub: what is wrong, which promises that breaks, and under which schedule."""

    name: str
    what: str
    breaks: tuple[str, ...]
    options: Options
    edits: tuple[Edit, ...]
    beside: tuple[Edit, ...] = ()


def _options(*faults: str, **given: object) -> Options:
    short = Options(
        faults=faults, quiet=True, seconds=8, rate=20, people=20, pause=0.5, rest=3, calm=1
    )
    return replace(short, **given)  # type: ignore[arg-type]


CALM = _options()
SLOW = _options("link_slow", seconds=12, long_part=1.0)
UNEVEN = _options("link_uneven", seconds=12, long_part=1.0, rate=30, people=30, told=1.0)
DEAF = _options("link_deaf", "pubsub_kill", seconds=10, rest=6, told=2.5, cut_in_trouble=8)
CUT_OFF = _options("link_hole", "link_cut", long_part=1.0, seconds=5)

REPLAY = Edit(
    "store/reader.py",
    "events.append(_replayed(fields, part.names.part))",
    'events.append(Gap("not replayed"))',
)

MUTANTS = (
    Mutant(
        "unjudged",
        "a connect and GET /session are accepted without a look at what the store answered",
        ("P1",),
        CALM,
        (
            Edit(
                "access/authority.py",
                "return self._admit(identity, await self._store.register(visit))",
                "standing = await self._store.register(visit)\n        return Caller("
                "identity=identity, standing=standing, until=identity.exp + self._leeway)",
            ),
        ),
    ),
    Mutant(
        "asked too early",
        "no re-read after registering: the store is asked before logouts can find the socket",
        ("P2",),
        UNEVEN,
        (
            Edit(
                "realtime/sockets.py",
                "        self._connections.add(connection)\n"
                "        caller = await self._authority.register(identity, client, presence)\n",
                "        caller = await self._authority.register(identity, client, presence)\n"
                "        self._connections.add(connection)\n",
            ),
        ),
    ),
    Mutant(
        "told before written",
        "a logout is published first and written then",
        ("P1",),
        SLOW,
        (
            Edit(
                "store/redis.py",
                "        answer = await self._logouts.call(\n            names.part,\n"
                "            END,",
                "        early = encode_logout(logout)\n"
                "        if not (command.only_repeat or command.only_claim):\n"
                "            import time\n\n"
                "            text = early if isinstance(early, str) else early.decode()\n"
                '            text = f"early {time.time_ns() // 1000} {text}"\n'
                '            await self._logouts.command("PUBLISH", names.channel, text)\n'
                "        answer = await self._logouts.call(\n            names.part,\n"
                "            END,",
            ),
            Edit(
                "store/reader.py",
                "        try:\n            previous, entry, leases, record",
                '        if data.startswith(b"early "):\n'
                '            return _heard(decode_logout(data[6:]), b"-", part.names.part)\n'
                "        try:\n            previous, entry, leases, record",
            ),
        ),
    ),
    Mutant(
        "strict",
        "a token that was issued at the very instant of a logout lives on",
        ("P1",),
        CALM,
        (
            Edit(
                "core/revocation.py",
                "identity.iat <= cutoff.at:",
                "identity.iat < cutoff.at:",
            ),
        ),
    ),
    Mutant(
        "no replay",
        "what was missed is not read from the log, only the place in it is moved on",
        ("P2",),
        DEAF,
        (Edit(REPLAY.file, REPLAY.old, "pass"),),
    ),
    Mutant(
        "no sweep",
        "what was missed is known to be missing, and no socket is checked",
        ("P2",),
        replace(DEAF, told=6),
        (
            Edit(
                "realtime/follower.py",
                "            case Gap():\n                self._must_sweep = True",
                "            case Gap():\n                pass",
            ),
        ),
        beside=(REPLAY,),
    ),
    Mutant(
        "answered before written",
        "a logout is answered while it is still on its way to the store",
        ("P1",),
        SLOW,
        (
            Edit(
                "access/logouts.py",
                "        receipt = await self._store.end(command)\n        if receipt.repeated:",
                "        if command.only_repeat:\n"
                "            receipt = await self._store.end(command)\n"
                "        else:\n"
                "            import time\n\n"
                "            import msgspec\n\n"
                "            self._late = asyncio.ensure_future(self._store.end(command))\n"
                "            now = time.time_ns() // 1000\n"
                "            receipt = Receipt(msgspec.structs.replace(command.logout, at=now))\n"
                "        if receipt.repeated:",
            ),
        ),
    ),
    Mutant(
        "wrong user",
        "a logout of one user ends the sockets of all",
        ("P3",),
        CALM,
        (
            Edit(
                "realtime/connections.py",
                "mine = self._by_sid if logout.user is None else"
                " self._by_user.get(logout.user, {})",
                "mine = self._by_sid",
            ),
            Edit(
                "store/reader.py",
                "    return lambda user: user == logout.user",
                "    return lambda user: True",
            ),
        ),
    ),
    Mutant(
        "no one is kept",
        "a logout of the other sessions ends the caller's own socket too",
        ("P3",),
        CALM,
        (Edit("core/revocation.py", "return sid != logout.sid", "return True"),),
    ),
    Mutant(
        "no fence",
        "a replica that cannot hear logouts keeps its sockets",
        ("P5",),
        CUT_OFF,
        (
            Edit(
                "realtime/follower.py",
                "if not self._fenced and age > self._fence:",
                "if not self._fenced and age > 1e9:",
            ),
        ),
    ),
    Mutant(
        "twice",
        "the same idempotency key ends the sessions again",
        ("P4",),
        CALM,
        (Edit("store/lua/end.lua", "  if first[1] then", "  if false then"),),
    ),
    Mutant(
        "own clock",
        "a replica judges by its own clock",
        ("P3",),
        _options("clock", seconds=12),
        (
            Edit(
                "access/authority.py",
                "refusal = judge(identity, standing, self._leeway)",
                "import time\n\n"
                "        wrong = msgspec.structs.replace(standing, now=time.time_ns() // 1000)\n"
                "        refusal = judge(identity, wrong, self._leeway)",
            ),
        ),
    ),
)


def mutate(folder: Path, edits: Iterable[Edit]) -> None:
    """Copy ``hub/`` and what it reads to a folder, with these edits.

    Raises:
        ValueError: when an edit's old text does not stand in its file exactly once.
    """
    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
    for name in ("hub", "client_js"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for edit in edits:
        file = folder / "hub" / edit.file
        text = file.read_text(encoding="utf-8")
        if text.count(edit.old) != 1:
            raise ValueError(f"{edit.file} has not this text exactly once:\n{edit.old}")
        file.write_text(text.replace(edit.old, edit.new), encoding="utf-8")


async def play(options: Options, edits: Iterable[Edit]) -> Outcome:
    """Run a hub with these edits."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        mutate(Path(folder), edits)
        return await run(replace(options, code=Path(folder)))


def tell(outcome: Outcome) -> str:
    """Return what was found in one line."""
    kinds = Counter(f"{violation.promise} {violation.text}" for violation in outcome.violations)
    found = ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common(3)) or "nothing"
    return f"{outcome.took:.0f} s, {outcome.logouts} logouts: {found}"


def main() -> None:
    """Run the mutants, each beside the hub that must pass; exit with 1 when one is not caught."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.mutants", description=__doc__)
    parser.add_argument(
        "names", nargs="*", help="only these: " + ", ".join(m.name for m in MUTANTS)
    )
    parser.add_argument("--only-mutants", action="store_true", help="without the unchanged hub")
    given = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if not given.names or mutant.name in given.names]
    sys.exit(asyncio.run(_judge(chosen, controls=not given.only_mutants)))


async def _judge(mutants: list[Mutant], *, controls: bool) -> int:
    wrong = 0
    passed: set[tuple[Options, tuple[Edit, ...]]] = set()
    for mutant in mutants:
        if controls and (mutant.options, mutant.beside) not in passed:
            outcome = await play(mutant.options, mutant.beside)
            what = "the hub" + (" with other means" if mutant.beside else "")
            _say("passes" if not outcome.violations else "FAILS", what, outcome)
            wrong += bool(outcome.violations)
            passed.add((mutant.options, mutant.beside))
        wrong += not await _is_caught(mutant)
    _say_line(f"{len(mutants)} mutants, {wrong} wrong")
    return 1 if wrong else 0


async def _is_caught(mutant: Mutant) -> bool:
    for turn in range(TRIES):
        options = replace(mutant.options, seed=mutant.options.seed + turn)
        outcome = await play(options, (*mutant.beside, *mutant.edits))
        if any(violation.promise in mutant.breaks for violation in outcome.violations):
            _say("caught", mutant.name, outcome)
            return True
        _say("NOT CAUGHT", mutant.name, outcome)
    return False


def _say(verdict: str, what: str, outcome: Outcome) -> None:
    _say_line(f"{verdict:<11}{what:<24}{tell(outcome)}")


def _say_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
