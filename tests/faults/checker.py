"""The checker: a history in, what it breaks out. It does nothing else, and asks nobody.

P1  After a proof, no check or connect that starts with such a token is accepted, anywhere.
P2  A socket of such a token is told, and closed within a bound after the answer, also when it was
    connecting at that moment.
P3  Nothing else is told, cut, closed or refused, unless a fault explains a closed transport.
P4  The same key gives the same logout, and so does the id of a signal; answers come in time, and
    failures are 503 with Retry-After.
P5  A replica cut off from Redis for longer than the fence is unready and has closed its sockets;
    with no fault near, it is ready. While one node of a cluster is away, the sockets of its users
    are closed, and those of all others live on (P3): they are told, answered and accepted as if
    nothing were wrong, and the replica is ready.

A guard may know less by what it was allowed (`Limits.staleness`): P1 holds for it so long after a
proof, P3 as for a replica, and with no fault near it knows enough (P5).

What a proof is, and what is possible without one, is said in `tests.faults.evidence`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict

import msgspec

from tests.faults.evidence import LONGEST_SOCKET, Evidence, Proof
from tests.faults.history import (
    NEVER,
    Call,
    Check,
    Fault,
    History,
    Logout,
    Notice,
    Socket,
)

CUTTING = {"redis_kill", "redis_stop", "link_cut", "link_hole", "link_mute"}
"""Faults during which a replica cannot have Redis' answers."""
AWAY = {"node_stop", "node_kill"}
"""Faults during which one node of a cluster, less than half of the partitions, does not answer."""
ABSENT = {"replica_kill", "replica_term", "replica_stop"}
"""Faults during which a replica does not answer."""
DEAD_CODES = {"token_revoked", "token_too_old", "login_required"}
NORMAL = {200, 202, 204, 304, 401, 404, 503}
CLOCKS = 0.005
"""Seconds by which times of Redis and of the watcher may seem to differ: one machine, one clock."""
LONGEST_CONNECT = 20.0
"""No connect takes longer; one that began before an answer may be accepted so long after it."""
READING = {"prompt", "mute"}
"""The manners of sockets that see what they are told when it comes."""

Piece = Logout | Check | Socket | Call | Fault | Notice


class Limits(msgspec.Struct, frozen=True):
    """What counts as in time; all in seconds.

    ``cut`` is T, from the answer of a logout to the last close in its scope, when no fault is near;
    ``cut_in_trouble`` is T when one is. ``told`` and ``told_in_trouble`` are the same for when a
    socket that reads must have been told, or closed. ``fence`` is None for a hub that has none,
    ``margin`` is added to it. ``answer`` bounds an HTTP answer, ``recovery`` is how long a fault's
    effects may be felt after it, ``unsettled`` for how long after its last request a logout whose
    outcome is unknown may still be written. ``staleness`` is how old a guard's knowledge may be.
    """

    told: float = 3.0
    told_in_trouble: float = 10.0
    cut: float = 5.0
    cut_in_trouble: float = 10.0
    fence: float | None = None
    margin: float = 3.0
    answer: float = 5.0
    staleness: float = 0.0
    recovery: float = 7.0
    unsettled: float = 30.0


class Violation(msgspec.Struct, frozen=True):
    """A promise that was broken, and the pieces of the history that show it."""

    promise: str
    text: str
    pieces: tuple[Piece, ...]


class Measured(msgspec.Struct):
    """T, sample by sample: seconds from the answer until a socket was told, and was closed."""

    told: list[float] = msgspec.field(default_factory=list)
    closed: list[float] = msgspec.field(default_factory=list)


class Checker:
    """Checks one history. `violations`, `measured` and `needless` are filled by `check`.

    ``needless`` counts how often the hub called itself unavailable with no fault near. It promises
    not to lie, not to be always there; on a machine that is busy it may be right.
    """

    def __init__(self, history: History, limits: Limits) -> None:
        self.violations: list[Violation] = []
        self.needless = 0
        self.measured = {"calm": Measured(), "in trouble": Measured()}
        self.late: list[float] = []
        """Seconds after a proof at which a guard still accepted a token."""
        self._history = history
        self._limits = limits
        self._evidence = Evidence(history, limits.unsettled)
        begun = min((check.start for check in history.checks), default=0.0)
        self._heard_from = begun + limits.recovery
        """When a guard has had time to connect for the first time."""
        self._told_of: dict[tuple[str, str], str] = {}
        """By user and signal, the id under which sockets were told of it."""

    def check(self) -> list[Violation]:
        """Check everything, and return what is broken."""
        for check in self._history.checks:
            if check.end < NEVER:
                self._check_token(check)
            elif check.is_by_guard and check.start < self._history.ended - self._limits.unsettled:
                self._break("P4", "a guard does not answer", check)
            # else the run ended before it did
        for socket in self._history.sockets:
            self._check_notices(socket)
            self._check_close(socket)
        self._check_logouts()
        for call in self._history.calls:
            self._check_call(call)
        self._check_readiness()
        for fault in self._history.faults:
            if fault.failure:
                self._break("P5", fault.failure, fault)
        if self._limits.fence is not None:
            for fault in self._history.faults:
                self._check_fence(fault, self._limits.fence + self._limits.margin)
        return self.violations

    def _break(self, promise: str, text: str, *pieces: Piece) -> None:
        self.violations.append(Violation(promise, text, pieces))

    def _is_calm(self, start: float, end: float, replica: str, user: str) -> bool:
        """Tell whether a replica felt no fault between two instants, nor shortly before.

        In what it does for a user.
        """
        felt = self._evidence.faults(start, end, replica, self._limits.recovery, user)
        return next(felt, None) is None

    def _is_away(self, start: float, end: float, replica: str) -> bool:
        """Tell whether a node was away at any time between two instants."""
        felt = self._evidence.faults(start, end, replica, after=0.0)
        return any(fault.kind in AWAY for fault in felt)

    # ---- Tokens: P1, P3 ----

    def _check_token(self, check: Check) -> None:
        match check.result:
            case "unavailable" if check.is_by_guard:
                felt = self._evidence.faults(check.start, check.end, None, self._limits.recovery)
                if next(felt, None) is None and check.start > self._heard_from:
                    self._break("P5", "a guard hears nothing though nothing is wrong", check)
            case "unavailable":
                if self._is_calm(check.start, check.end, check.replica, check.token.user):
                    self.needless += 1
                    if self._is_away(check.start, check.end, check.replica):
                        self._break("P3", "refused since a node of others is away", check)
            case "accepted":
                proof = self._evidence.proof_against(check.token, check.start)
                if proof is not None and check.is_by_guard:
                    self.late.append(check.start - proof.since)
                allowed = self._limits.staleness if check.is_by_guard else 0.0
                if proof is not None and check.start - proof.since > allowed:
                    self._break("P1", "a dead token was accepted", proof.shown_by, check)
            case "lost":
                # A refresh is lost when its socket ends meanwhile.
                is_calm = self._is_calm(check.start, check.end, check.replica, check.token.user)
                if is_calm and check.kind != "refresh":
                    self._break("P4", "no answer though nothing is wrong", check)
            case code if code not in DEAD_CODES:
                self._break("P3", "a good token was refused", check)
            case _:
                if next(self._evidence.possible(check.token, -NEVER, check.end), None) is None:
                    self._break("P3", "a token that no logout is about was refused", check)

    # ---- Sockets: P3, P2 ----

    def _check_notices(self, socket: Socket) -> None:
        for notice in socket.notices:
            ended_by = self._evidence.possible(socket.token, socket.accepted, notice.time)
            about = [one for one in ended_by if self._evidence.may_be(notice, one)]
            if notice.reason == "expired":
                self._break("P3", "told of an expiry though nothing expires", socket)
            elif not about:
                self._break("P3", "told of a logout that is not about it", socket)
            elif len(about) == 1 and about[0].is_signal:
                told_of = (socket.token.user, about[0].key)
                if self._told_of.setdefault(told_of, notice.id) != notice.id:
                    self._break("P4", "one signal, two logouts", about[0], socket)
        if len(socket.notices) > 1:
            self._break("P3", "told twice", socket)

    def _check_close(self, socket: Socket) -> None:
        if socket.cut is not None and not socket.notices:
            self._break("P3", "cut without having been told", socket)
        if socket.closed_by != "hub" or socket.notices:
            return
        # One that reads nothing may have been told, and cut, all the same.
        ended_by = self._evidence.possible(socket.token, socket.accepted, socket.closed)
        may_be_told = socket.manner not in READING and next(ended_by, None) is not None
        is_calm = self._is_calm(socket.closed, socket.closed, socket.replica, socket.token.user)
        if not may_be_told and is_calm:
            self._break("P3", "closed by the hub though nothing is wrong", socket)

    def _check_logouts(self) -> None:
        mine: dict[str, list[Socket]] = defaultdict(list)
        for socket in sorted(self._history.sockets, key=lambda socket: socket.accepted):
            mine[socket.token.user].append(socket)
        begun = {user: [s.accepted for s in sockets] for user, sockets in mine.items()}
        for logout in self._history.logouts:
            self._check_answers(logout)
        for user, logouts in self._evidence.by_user.items():
            for proof in filter(None, map(self._evidence.proof_of, logouts)):
                if user in mine:
                    first = bisect_left(begun[user], proof.since - LONGEST_SOCKET)
                    last = bisect_right(begun[user], proof.since + LONGEST_CONNECT)
                    for socket in mine[user][first:last]:
                        self._check_end(socket, proof)

    def _check_end(self, socket: Socket, proof: Proof) -> None:
        """Check that a socket ends in time, if a logout ended it for sure."""
        answer = proof.logout.answer
        assert answer is not None
        refreshed = [c.token for c in socket.refreshes if c.result in ("accepted", "lost")]
        if not all(proof.is_certain(token) for token in [socket.token, *refreshed]):
            return
        told_of_it = [n.time for n in socket.notices if self._evidence.may_be(n, proof.logout)]
        if socket.closed <= answer.end and not told_of_it:
            return  # it had ended before
        # A connect that was under way may be accepted after the answer, and is told then.
        end = max(answer.end, socket.accepted)
        user = socket.token.user
        is_calm = self._is_calm(proof.logout.start, socket.closed, socket.replica, user)
        measured = self.measured["calm" if is_calm else "in trouble"]
        if socket.manner in READING:
            measured.told += [max(0.0, time - end) for time in told_of_it]
        if socket.closed_by == "hub":
            measured.closed.append(max(0.0, socket.closed - end))
        told = min([socket.closed, *(notice.time for notice in socket.notices)])
        latest = self._history.ended
        if min(socket.closed, latest) > self._deadline(proof, socket, end, told=False):
            self._break("P2", "still open after the answer", proof.logout, socket)
        elif socket.manner in READING and min(told, latest) > (
            self._deadline(proof, socket, end, told=True)
        ):
            self._break("P2", "not told after the answer", proof.logout, socket)

    def _deadline(self, proof: Proof, socket: Socket, end: float, *, told: bool) -> float:
        """Return until when a socket must have been told, or else closed."""
        limits = self._limits
        calm, trouble = (
            (limits.told, limits.told_in_trouble) if told else (limits.cut, limits.cut_in_trouble)
        )
        deadline, start = end + calm, proof.logout.start
        user = socket.token.user
        for fault in self._evidence.faults(start, NEVER, socket.replica, limits.recovery, user):
            if fault.start > deadline:
                break
            # Who is stopped can do nothing; without a fence, nor can who is cut off.
            is_helpless = fault.kind == "replica_stop" or limits.fence is None
            begin = max(end, fault.end) if is_helpless else end
            deadline = max(deadline, begin + trouble)
        return deadline

    # ---- Answers: P4 ----

    def _check_answers(self, logout: Logout) -> None:
        answers = [attempt for attempt in logout.attempts if attempt.outcome == "ok"]
        if len({(answer.id, answer.at) for answer in answers}) > 1:
            self._break("P4", "one key, two logouts", logout)
        for answer in answers:
            if answer.at is None:
                continue  # a signal's, which does not say when it was
            at = answer.at - self._history.epoch
            if not logout.start - CLOCKS <= at <= answer.end + CLOCKS:
                self._break("P4", "its time is not between request and answer", logout)

    def _check_call(self, call: Call) -> None:
        # A process that was started anew, or goes on, may still lose what it was asked just before.
        felt = self._evidence.faults(call.start, call.end, call.replica, after=1.0)
        is_absent = any(fault.kind in ABSENT for fault in felt)
        if call.status is None:
            if not is_absent:
                self._break("P4", "no answer though the replica runs", call)
        elif call.status not in NORMAL:
            self._break("P4", f"answered {call.status}", call)
        elif call.status == 503 and not call.retry_after:
            self._break("P4", "503 without Retry-After", call)
        if call.end - call.start > self._limits.answer and not is_absent:
            self._break("P4", "answered late", call)

    # ---- Readiness and the fence: P5 ----

    def _check_readiness(self) -> None:
        for call in self._history.calls:
            if not call.is_readiness or call.status == 200:
                continue
            felt = self._evidence.faults(call.start, call.end, call.replica, self._limits.recovery)
            # While a node is away, a replica is ready for everybody else.
            if all(fault.kind in AWAY for fault in felt):
                self._break("P5", "not ready though most of the store is there", call)

    def _check_fence(self, fault: Fault, patience: float) -> None:
        """Check that a replica which a fault cuts off withdraws within its patience."""
        late, over = fault.start + patience, min(fault.undone, fault.end)
        if fault.kind not in CUTTING | AWAY or over <= late:
            return
        for call in self._history.calls:
            is_ready = call.is_readiness and call.status == 200 and fault.kind in CUTTING
            if is_ready and fault.touches(call.replica) and late < call.start < call.end < over:
                self._break("P5", "ready though it is cut off", fault, call)
        for socket in self._history.sockets:
            is_open = socket.accepted < fault.start and socket.closed > late
            is_touched = fault.touches(socket.replica, socket.token.user)
            if is_open and is_touched and not self._is_stopped(socket, fault):
                self._break("P5", "open though its replica is cut off", fault, socket)

    def _is_stopped(self, socket: Socket, during: Fault) -> bool:
        felt = self._evidence.faults(during.start, during.end, socket.replica, after=0.0)
        return any(fault.kind == "replica_stop" for fault in felt)
