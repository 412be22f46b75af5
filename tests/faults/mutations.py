"""The mutants: each breaks the hub in one way, and names the promise that this breaks."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.faults.run import Options


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


@dataclass(frozen=True)
class Misreader:
    """A broken guard that no fault is needed to show: its own tests do, mostly the vectors."""

    name: str
    what: str
    edits: tuple[Edit, ...]
    shown_by: str = "tests/guard/test_vectors.py"


def _options(*faults: str, **given: object) -> Options:
    short = Options(
        faults=faults, quiet=True, seconds=8, rate=20, people=20, pause=0.5, rest=3, calm=1
    )
    return replace(short, **given)  # type: ignore[arg-type]


CALM = _options()
SLOW = _options("link_slow", seconds=12, long_part=1.0)
UNEVEN = _options("link_uneven", seconds=12, long_part=1.0, rate=30, people=30, told=1.0)
DEAF = _options(
    "link_deaf", "pubsub_kill", seconds=12, rest=6, rate=30, people=30, told=2.5, cut_in_trouble=8
)
SIGNALS = _options("redis_kill", "link_mute", "link_hole", seconds=12, rate=30)
CUT_OFF = _options("link_hole", "link_cut", long_part=1.0, seconds=5)

HOLES = _options("guard_hole", "guard_cut", seconds=12, long_part=1.0, rate=30)

AWAY = _options("node_stop", "node_kill", seconds=8, long_part=1.0)

REPLAY = Edit(
    "store/partition_log.py",
    "            return\n        self._emit(event)",
    '            return\n        self.gap = "not replayed"',
)

OWN_TIME = Edit(
    "access/signals.py",
    "        return await self._store.now()",
    "        return time.time_ns() // 1000",
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
                "return self._admit(identity, state)",
                "return Caller("
                "identity=identity, state=state, until=identity.exp + identity.leeway)",
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
                "realtime/handlers.py",
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
                "store/redis_logouts.py",
                "        answer: Sequence[Any] = await self._calls.call(\n"
                "            names.partition,\n            END,",
                "        import time\n\n"
                "        from hub.core.bus import sign\n\n"
                '        text = b"early %d " % (time.time_ns() // 1000) + encode_logout(logout)\n'
                '        key = BusKey(self._fixed["inner"], self._fixed["outer"])\n'
                "        code = sign(key, names.channel.encode(), text)\n"
                '        said = code + b" " + text\n'
                '        await self._calls.command("PUBLISH", names.channel, said)\n'
                "        answer: Sequence[Any] = await self._calls.call(\n"
                "            names.partition,\n            END,",
            ),
            Edit(
                "store/partition_log.py",
                "        try:\n            message, known",
                '        if data.startswith(b"early "):\n'
                '            early = {b"logout": data[6:]}\n'
                '            self._emit(make_event(self.number, "", early, is_live=True))\n'
                "            return True\n"
                "        try:\n            message, known",
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
                "identity.begun <= cutoff.horizon:",
                "identity.begun < cutoff.horizon:",
            ),
        ),
    ),
    Mutant(
        "reborn",
        "a refresh makes a login as young as its newest token",
        ("P1",),
        CALM,
        (
            Edit(
                "core/model.py",
                "return self.iat if self.login_at is None else self.login_at",
                "return self.iat",
            ),
        ),
    ),
    Mutant(
        "for ever",
        "a session id that was ended once is dead for every later login",
        ("P3",),
        CALM,
        (
            Edit(
                "core/revocation.py",
                "return identity.login_at is not None and identity.login_at > tombstone.horizon",
                "return False",
            ),
        ),
    ),
    Mutant(
        "no replay",
        "what was missed is not read from the log, only the place in it is moved on",
        ("P2",),
        DEAF,
        (Edit(REPLAY.file, REPLAY.old, "            return"),),
    ),
    Mutant(
        "no sweep",
        "what was missed is known to be missing, and no socket is checked",
        ("P2",),
        replace(DEAF, told=6),
        (
            Edit(
                "realtime/follower.py",
                "                self._advance(partitions, Event.GAP)",
                "                pass",
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
                "        receipt = await self._store.end(command)\n",
                "        import time\n\n"
                "        self._late = asyncio.ensure_future(self._store.end(command))\n"
                "        now = time.time_ns() // 1000\n"
                "        receipt = Receipt(msgspec.structs.replace(command.logout, at=now))\n",
            ),
            Edit(
                "access/logouts.py",
                "            answer = await self._store.end_own(command, apply_leeway(caller))\n",
                "            import time\n\n"
                "            own = self._store.end_own(command, apply_leeway(caller))\n"
                "            self._late = asyncio.ensure_future(own)\n"
                "            now = time.time_ns() // 1000\n"
                "            answer: Receipt | Unsure\n"
                "            answer = Receipt(msgspec.structs.replace(command.logout, at=now))\n",
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
                "self._candidates(logout.user, event.partition)",
                "self._candidates(None, None)",
            ),
            Edit(
                "store/log_entries.py",
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
        "a replica that cannot receive logouts keeps its sockets",
        ("P5",),
        CUT_OFF,
        (
            Edit(
                "core/partition.py",
                "if self.is_fenced or self.age(now) <= fence:",
                "if self.is_fenced or self.age(now) <= 1e9:",
            ),
        ),
    ),
    Mutant(
        "one for all",
        "a partition that is fenced closes the sockets of all",
        ("P3",),
        AWAY,
        (
            Edit(
                "realtime/follower.py",
                "        for connection in self._sweeper.sockets(numbers):\n"
                "            connection.socket.close_transport()",
                "        for connection in self._sweeper.sockets(self._all):\n"
                "            connection.socket.close_transport()",
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
        "remembered too early",
        "the id of a signal is remembered before its logout is written",
        ("P1",),
        SIGNALS,
        (
            Edit(
                "access/signals.py",
                "        self._metrics.signal_age.observe(_age(signal), channel, by)\n",
                "        self._metrics.signal_age.observe(_age(signal), channel, by)\n"
                "        seen: set[str] = self.__dict__.setdefault('seen', set())\n"
                "        if signal.id in seen:\n"
                "            return Verdict.REPEATED\n"
                "        seen.add(signal.id)\n",
            ),
        ),
        # A store that cannot be written to does not tell the time either.
        beside=(OWN_TIME,),
    ),
    Mutant(
        "forgotten",
        "the id of a signal is not remembered: what comes again is done again",
        ("P3",),
        CALM,
        (
            Edit(
                "access/signals.py",
                'key=_key(signal) if target.user is not None else f"{_key(signal)}:{sid}",',
                "key=None,",
            ),
        ),
    ),
    Mutant(
        "as of now",
        "a signal ends logins that have begun since what it reports",
        ("P3",),
        CALM,
        (
            Edit(
                "core/reactions.py",
                "before=read_horizon(_happened_at(event), now, transmitter.rules.leeway),",
                "before=now,",
            ),
        ),
    ),
    Mutant(
        "to the second",
        "a time in whole seconds that a signal states is taken for the second's first instant",
        ("P1",),
        CALM,
        (
            Edit(
                "core/signed_signal.py",
                "return at if at % SECOND else at + SECOND - 1",
                "return at",
            ),
        ),
    ),
    Mutant(
        "one partition",
        "a session whose user is not named is refused in one partition only",
        ("P1",),
        CALM,
        (
            Edit(
                "store/redis_logouts.py",
                "Names(None, number, iss)) for number in range(PARTITIONS)",
                "Names(None, number, iss)) for number in range(1)",
            ),
        ),
    ),
    Mutant(
        "own time",
        "a replica judges signals by its own clock",
        ("P4",),
        _options("clock", seconds=12),
        (OWN_TIME,),
    ),
    Mutant(
        "own clock",
        "a replica judges by its own clock",
        ("P3",),
        _options("clock", seconds=12),
        (
            Edit(
                "access/authority.py",
                "refusal = judge(identity, state)",
                "import time\n\n"
                "        wrong = msgspec.structs.replace(state, now=time.time_ns() // 1000)\n"
                "        refusal = judge(identity, wrong)",
            ),
        ),
    ),
    Mutant(
        "fresh on receipt",
        "what a guard hears counts as known when it arrives, not when it was asked for",
        ("P1",),
        _options("guard_slow", seconds=16),
        (
            Edit(
                "guard/feed_state.py",
                "freshness.confirm(confirmation, self._asked_at, ",
                "freshness.confirm(confirmation, read_at - confirmation.elapsed, ",
            ),
        ),
    ),
    Mutant(
        "never stale",
        "a guard does not mind how long ago it heard of the hub",
        ("P1",),
        HOLES,
        (
            Edit(
                "guard/verdicts.py",
                "        self._max_staleness = options.max_staleness\n",
                "        self._max_staleness = 1e9\n",
            ),
        ),
    ),
    Mutant(
        "a guard's own time",
        "a guard judges by its machine's clock",
        ("P3",),
        _options("guard_clock", seconds=12),
        (
            Edit(
                "guard/verdicts.py",
                "(time.time() if latest is None else clock() + latest)",
                "time.time()",
            ),
            Edit(
                "guard/verdicts.py",
                "if not known.valid_from <= now + freshness.latest < known.valid_until:",
                "if not known.valid_from <= time.time() < known.valid_until:",
            ),
        ),
    ),
    Mutant(
        "forgets its place",
        "a guard that reconnects goes on from the newest place, not from its own",
        ("P1",),
        HOLES,
        (
            Edit(
                "guard/feed_reader.py",
                '            headers["Last-Event-ID"] = last_id\n',
                "            pass\n",
            ),
            Edit(
                "guard/feed_state.py",
                "if self.knowledge.revocations.apply(revocation):",
                "if not self._is_whole and self.knowledge.revocations.apply(revocation):",
            ),
        ),
    ),
)

MISREADERS = (
    Misreader(
        "answered for ever",
        "what the hub once said of a token holds, whatever is heard of it later",
        (
            Edit(
                "guard/verdicts.py",
                "if known.answer == mark:",
                "if known.answer is not None:",
            ),
        ),
        "tests/guard/test_guard.py",
    ),
    Misreader(
        "accepted in haste",
        "a look at the user's facts is enough to accept a session at once",
        (
            Edit(
                "guard/revocations.py",
                "if names.user_session in self._sessions or begun",
                "if begun",
            ),
        ),
    ),
    Misreader(
        "old on reset",
        "the old facts are gone when the feed begins anew",
        (
            Edit(
                "guard/feed_state.py",
                '                self._is_whole, self._last_id = False, ""\n',
                '                self._is_whole, self._last_id = False, ""\n'
                "                fresh = self.knowledge.freshness\n"
                "                self.knowledge = Knowledge(Revocations(), fresh)\n",
            ),
        ),
    ),
    Misreader(
        "on past reset",
        "a reset is not heeded: whatever follows counts as all",
        (
            Edit(
                "guard/feed_state.py",
                '                self._is_whole, self._last_id = False, ""\n',
                "",
            ),
        ),
    ),
    Misreader(
        "named only",
        "the registered sessions that a logout ended are not heeded",
        (
            Edit(
                "guard/revocations.py",
                "        for sid in revocation.sessions:\n",
                "        for sid in ():\n",
            ),
        ),
    ),
    Misreader(
        "as of its writing",
        "a logout that reports something earlier ends what began since",
        (
            Edit(
                "guard/facts.py",
                "horizon = at if revocation.before is None else",
                "horizon = at or",
            ),
        ),
    ),
    Misreader(
        "last heard wins",
        "of two logouts of a session, the one that is heard last counts",
        (
            Edit(
                "guard/revocations.py",
                "if old is None or (horizon_of",
                "if True or (horizon_of",
            ),
        ),
    ),
    Misreader(
        "kept for ever",
        "a session that was kept is not ended by what had ended it before",
        (
            Edit(
                "guard/facts.py",
                "return (max(ending, default=0) << NAME_BITS | newest_kept) << FACT_BITS | newest",
                "return newest_kept << FACT_BITS | newest",
            ),
        ),
    ),
    Misreader(
        "everyone everywhere",
        "a logout of everyone in a partition ends the sessions of all partitions",
        (
            Edit(
                "guard/revocations.py",
                "_cut_off(self._everyone, partition, ",
                "_cut_off(self._everyone, EVERYWHERE, ",
            ),
        ),
    ),
    Misreader(
        "late for all",
        "a partition that is late counts as known as all others",
        (
            Edit(
                "guard/freshness.py",
                "return self.late.get(partition, self.until)",
                "return self.until",
            ),
        ),
    ),
)
