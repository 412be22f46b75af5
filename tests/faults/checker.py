"""The checker: a history in, what it breaks out. It does nothing else, and asks nobody.

Theory of operation. Nobody knows the instant at which a logout was written, only that it lies
between the first request and the answer. So the checker has two relations. A *proof* says of which
tokens it is *certain* that they are dead, and since when: from an answer, or from a notice that a
socket was given (who is told must not find the token alive a moment later). And a logout *may*
have ended a token, unless that is impossible. What must not be accepted is judged by the first,
what must not be touched by the second; in between, both outcomes are right.

P1  After a proof, no check or connect that starts with such a token is accepted, anywhere.
P2  A socket of such a token is told, and closed within a bound after the answer, also when it was
    connecting at that moment.
P3  Nothing else is told, cut, closed or refused, unless a fault explains a closed transport.
P4  The same key gives the same logout; answers come in time, and failures are 503 with Retry-After.
P5  A replica cut off from Redis for longer than the fence is unready and has closed its sockets;
    with no fault near, it is ready.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator

import msgspec

from tests.faults.history import (
    NEVER,
    Call,
    Check,
    Fault,
    History,
    Logout,
    Notice,
    Socket,
    Token,
)

HARMLESS = {"clock"}
"""Faults that must have no effect at all."""
CUTTING = {"redis_kill", "redis_stop", "link_cut", "link_hole", "link_mute"}
"""Faults during which a replica cannot have Redis' answers."""
ABSENT = {"replica_kill", "replica_term", "replica_stop"}
"""Faults during which a replica does not answer."""
DEAD_CODES = {"token_revoked", "token_too_old"}
NORMAL = {200, 204, 304, 401, 404, 503}
CLOCKS = 0.005
"""Seconds by which times of Redis and of the watcher may seem to differ: one machine, one clock."""
LONGEST_CONNECT = 20.0
"""No connect takes longer; one that began before an answer may be accepted so long after it."""
LONGEST_SOCKET = 120.0
"""No socket lives longer; how far back to look for those of a logout."""

Piece = Logout | Check | Socket | Call | Fault | Notice


class Limits(msgspec.Struct, frozen=True):
    """What counts as in time; all in seconds.

    ``cut`` is T, from the answer of a logout to the last close in its scope, when no fault is near;
    ``cut_in_trouble`` is T when one is. ``told`` and ``told_in_trouble`` are the same for when a
    socket that reads must have been told, or closed. ``fence`` is None for a hub that has none,
    ``margin`` is added to it. ``answer`` bounds an HTTP answer, ``recovery`` is how long a fault's
    effects may be felt after it, ``unsettled`` for how long after its last request a logout whose
    outcome is unknown may still be written.
    """

    told: float = 3.0
    told_in_trouble: float = 10.0
    cut: float = 5.0
    cut_in_trouble: float = 10.0
    fence: float | None = None
    margin: float = 3.0
    answer: float = 5.0
    recovery: float = 12.0
    unsettled: float = 30.0


class Violation(msgspec.Struct, frozen=True):
    """A promise that was broken, and the pieces of the history that show it."""

    promise: str
    text: str
    pieces: tuple[Piece, ...]


class Proof(msgspec.Struct, frozen=True):
    """A logout that is known to be written since ``since``. ``at`` is its exact time, if known."""

    logout: Logout
    since: float
    asked: float
    at: float | None
    piece: Piece

    def is_certain(self, token: Token) -> bool:
        """Tell whether a token is dead by it for sure; its user is known to be concerned."""
        if self.logout.spares(token.sid):
            return False
        if self.logout.named == token.sid or token.latest < self.asked:
            return True
        return self.at is not None and token.latest <= self.at


class Measured(msgspec.Struct):
    """T, sample by sample: seconds from the answer until a socket was told, and was closed."""

    told: list[float] = msgspec.field(default_factory=list)
    closed: list[float] = msgspec.field(default_factory=list)


class Checker:
    """Checks one history. `violations` and `measured` are filled by `check`."""

    def __init__(self, history: History, limits: Limits) -> None:
        self.violations: list[Violation] = []
        self.measured = {"calm": Measured(), "in trouble": Measured()}
        self._history = history
        self._limits = limits
        self._faults = sorted(
            (f for f in history.faults if f.kind not in HARMLESS), key=lambda f: f.start
        )
        self._users = {s.token.user for s in history.sockets}
        self._users |= {c.token.user for c in history.checks}
        self._by_user: dict[str, list[Logout]] = defaultdict(list)
        for logout in sorted(history.logouts, key=lambda logout: logout.start):
            for user in self._users if logout.users is None else logout.users:
                self._by_user[user].append(logout)
        self._births: dict[tuple[str, str], float] = {}
        for check in history.checks:
            session, iat = (check.token.user, check.token.sid), check.token.iat
            self._births[session] = min(iat, self._births.get(session, NEVER))
        self._proofs = self._find_proofs()
        self._named: dict[tuple[str, str], Proof] = {}
        for user, proofs in self._proofs.items():
            for proof in proofs:
                if (named := proof.logout.named) is not None:
                    self._named.setdefault((user, named), proof)
        self._since = {u: [proof.since for proof in proofs] for u, proofs in self._proofs.items()}

    def check(self) -> list[Violation]:
        """Check everything, and return what is broken."""
        for check in self._history.checks:
            self._check_acceptance(check)
            self._check_refusal(check)
        for socket in self._history.sockets:
            self._check_notices(socket)
            self._check_close(socket)
        self._check_liveness()
        for logout in self._history.logouts:
            self._check_answers(logout)
        for call in self._history.calls:
            self._check_call(call)
        self._check_fence()
        return self.violations

    def _break(self, promise: str, text: str, *pieces: Piece) -> None:
        self.violations.append(Violation(promise, text, pieces))

    # -- what is certain, what is possible ------------------------------------------------------

    def _find_proofs(self) -> dict[str, list[Proof]]:
        epoch = self._history.epoch
        found: dict[str, list[Proof]] = defaultdict(list)
        for user, logouts in self._by_user.items():
            for logout in logouts:
                if (answer := logout.answer) is not None:
                    at = answer.at if logout.users and len(logout.users) == 1 else None
                    asked = logout.start + epoch
                    found[user].append(Proof(logout, answer.end, asked, at, logout))
        told: set[tuple[str, str]] = set()
        for socket in sorted(self._history.sockets, key=_first_told):
            user = socket.token.user
            for notice in socket.notices:
                if notice.reason != "expired" and (user, notice.id) not in told:
                    told.add((user, notice.id))
                    said = Logout(notice.id, "notice", (user,), notice.scope, notice.sid)
                    found[user].append(Proof(said, notice.time, 0.0, notice.at, socket))
        for proofs in found.values():
            proofs.sort(key=lambda proof: proof.since)
        return found

    def _proof_against(self, token: Token, before: float) -> Proof | None:
        """Return a proof that a token was dead before an instant."""
        proofs = self._proofs.get(token.user, [])
        since = self._since.get(token.user, [])
        named = self._named.get((token.user, token.sid))
        if named is not None and named.since < before:
            return named
        # What was known before a token was issued does not concern it, unless it names its session.
        issued = token.iat - self._history.epoch - 1
        for proof in proofs[bisect_left(since, issued) : bisect_left(since, before)]:
            if proof.is_certain(token):
                return proof
        return None

    def _possible(self, token: Token, start: float, end: float) -> Iterator[Logout]:
        """Yield the logouts, newest first, that may have ended a token between two instants."""
        for logout in reversed(self._by_user.get(token.user, [])):
            if logout.start <= end and logout.may_have_happened and not logout.spares(token.sid):
                until = self._last_instant(logout)
                if until < start - LONGEST_SOCKET:
                    continue
                born = self._births.get((token.user, token.sid), token.iat) - self._history.epoch
                if logout.named == token.sid or born <= until:
                    yield logout

    def _last_instant(self, logout: Logout) -> float:
        answer = logout.answer
        if answer is None:
            return max(attempt.end for attempt in logout.attempts) + self._limits.unsettled
        if answer.at is not None and logout.users is not None and len(logout.users) == 1:
            return answer.at - self._history.epoch
        return answer.end

    def _near(self, start: float, end: float, replica: str, after: float = 0.0) -> Fault | None:
        """Return a fault that touched a replica between two instants, or until ``after`` before."""
        for fault in self._faults:
            if fault.start > end:
                return None
            if fault.end + after >= start and fault.touches(replica):
                return fault
        return None

    # -- P1 and P3: tokens ----------------------------------------------------------------------

    def _check_acceptance(self, check: Check) -> None:
        if check.result != "accepted":
            return
        proof = self._proof_against(check.token, check.start)
        if proof is not None:
            self._break("P1", "a dead token was accepted", proof.piece, check)

    def _check_refusal(self, check: Check) -> None:
        if check.result in ("accepted", "unavailable"):
            return
        if check.end == NEVER:
            return  # the run ended before it did
        if check.result == "lost":
            if self._near(check.start, check.end, check.replica, self._limits.recovery) is None:
                if check.kind == "refresh":
                    return  # its socket ended meanwhile
                self._break("P4", "no answer though nothing is wrong", check)
        elif check.result not in DEAD_CODES:
            self._break("P3", "a good token was refused", check)
        elif next(self._possible(check.token, -NEVER, check.end), None) is None:
            self._break("P3", "a token that no logout is about was refused", check)

    # -- P3: sockets ----------------------------------------------------------------------------

    def _check_notices(self, socket: Socket) -> None:
        for notice in socket.notices:
            if notice.reason == "expired":
                self._break("P3", "told of an expiry though nothing expires", socket)
            elif not any(
                self._may_be(notice, logout)
                for logout in self._possible(socket.token, socket.accepted, notice.time)
            ):
                self._break("P3", "told of a logout that is not about it", socket)
        if len(socket.notices) > 1:
            self._break("P3", "told twice", socket)

    def _may_be(self, notice: Notice, logout: Logout) -> bool:
        answer = logout.answer
        if (notice.scope, notice.sid) != (logout.scope, logout.sid):
            return False
        if answer is not None and answer.id == notice.id:
            return True
        # Who was not answered does not know the id. Some of several users may have been logged out
        # by a request that was not answered, and the others by its repetition, under another id.
        is_one = logout.users is not None and len(logout.users) == 1
        return (
            (answer is None or not is_one)
            and len(logout.attempts) > 0
            and any(attempt.outcome == "unknown" for attempt in logout.attempts)
        )

    def _check_close(self, socket: Socket) -> None:
        if socket.cut is not None and not socket.notices:
            self._break("P3", "cut without having been told", socket)
        if socket.closed_by != "hub" or socket.notices:
            return
        after = self._limits.recovery
        if self._near(socket.accepted, socket.closed, socket.replica, 0) is None or (
            self._near(socket.closed, socket.closed, socket.replica, after) is None
        ):
            unread = socket.manner in ("unread", "sleepy")
            ended = next(self._possible(socket.token, socket.accepted, socket.closed), None)
            if not unread or ended is None:
                self._break("P3", "closed by the hub though nothing is wrong", socket)

    # -- P2 -------------------------------------------------------------------------------------

    def _check_liveness(self) -> None:
        mine: dict[str, list[Socket]] = defaultdict(list)
        for socket in sorted(self._history.sockets, key=lambda socket: socket.accepted):
            mine[socket.token.user].append(socket)
        begun = {user: [s.accepted for s in sockets] for user, sockets in mine.items()}
        for user, logouts in self._by_user.items():
            for logout in logouts:
                answer = logout.answer
                if answer is None or user not in mine:
                    continue
                first = bisect_left(begun[user], answer.end - LONGEST_SOCKET)
                last = bisect_right(begun[user], answer.end + LONGEST_CONNECT)
                for socket in mine[user][first:last]:
                    self._check_end(socket, logout, answer.end, answer.at)

    def _check_end(self, socket: Socket, logout: Logout, end: float, at: float | None) -> None:
        single = logout.users is not None and len(logout.users) == 1
        proof = Proof(
            logout, end, logout.start + self._history.epoch, at if single else None, logout
        )
        shown = [socket.token] + [
            check.token for check in socket.refreshes if check.result in ("accepted", "lost")
        ]
        if not all(proof.is_certain(token) for token in shown):
            return
        mine = [notice for notice in socket.notices if notice.id == (logout.answer or _NONE).id]
        if socket.closed <= end and not mine:
            return  # it ended before
        # A connect that was under way may be accepted after the answer, and is told then.
        end = max(end, socket.accepted)
        near = self._near(logout.start, socket.closed, socket.replica, self._limits.recovery)
        measured = self.measured["calm" if near is None else "in trouble"]
        measured.told += [max(0.0, notice.time - end) for notice in mine]
        if socket.closed_by == "hub":
            measured.closed.append(max(0.0, socket.closed - end))
        limits, ended = self._limits, self._history.ended
        deadline = self._deadline(logout, socket, end, limits.cut, limits.cut_in_trouble)
        if min(socket.closed, ended) > deadline:
            self._break("P2", "still open after the answer", logout, socket)
            return
        told = min([socket.closed, *(notice.time for notice in socket.notices)])
        deadline = self._deadline(logout, socket, end, limits.told, limits.told_in_trouble)
        if socket.manner in ("prompt", "mute") and min(told, ended) > deadline:
            self._break("P2", "not told after the answer", logout, socket)

    def _deadline(
        self, logout: Logout, socket: Socket, end: float, calm: float, in_trouble: float
    ) -> float:
        """Return until when a socket must have been told, or closed, in a calm time or not."""
        limits = self._limits
        deadline = end + calm
        for fault in self._faults:
            if fault.start > deadline:
                break
            if fault.end + limits.recovery < logout.start or not fault.touches(socket.replica):
                continue
            # Who is stopped can do nothing; without a fence, nor can who is cut off.
            helpless = fault.kind == "replica_stop" or limits.fence is None
            begin = max(end, fault.end) if helpless else end
            deadline = max(deadline, begin + in_trouble)
        return deadline

    # -- P4 -------------------------------------------------------------------------------------

    def _check_answers(self, logout: Logout) -> None:
        answers = [attempt for attempt in logout.attempts if attempt.outcome == "ok"]
        if len({(answer.id, answer.at) for answer in answers}) > 1:
            self._break("P4", "one key, two logouts", logout)
        for answer in answers:
            assert answer.at is not None
            at = answer.at - self._history.epoch
            if not logout.start - CLOCKS <= at <= answer.end + CLOCKS:
                self._break("P4", "its time is not between request and answer", logout)

    def _check_call(self, call: Call) -> None:
        limits = self._limits
        absent = any(
            fault.kind in ABSENT
            and fault.target == call.replica
            and fault.start <= call.end
            and fault.end + 1 >= call.start
            for fault in self._faults
        )
        if call.status is None:
            if not absent:
                self._break("P4", "no answer though the replica runs", call)
        elif call.status not in NORMAL:
            self._break("P4", f"answered {call.status}", call)
        elif call.status == 503 and not call.retry_after:
            self._break("P4", "503 without Retry-After", call)
        if call.end - call.start > limits.answer and not absent:
            self._break("P4", f"answered after {call.end - call.start:.1f} s", call)

    # -- P5 -------------------------------------------------------------------------------------

    def _check_fence(self) -> None:
        readiness = [call for call in self._history.calls if call.what == "GET /readyz"]
        for call in readiness:
            if call.status != 200 and (
                self._near(call.start, call.end, call.replica, self._limits.recovery) is None
            ):
                self._break("P5", "not ready though nothing is wrong", call)
        if self._limits.fence is None:
            return
        patience = self._limits.fence + self._limits.margin
        for fault in self._faults:
            over = min(fault.undone, fault.end)
            if fault.kind not in CUTTING or over - fault.start <= patience:
                continue
            late = fault.start + patience
            for call in readiness:
                if (
                    fault.touches(call.replica)
                    and call.status == 200
                    and (late < call.start and call.end < over)
                ):
                    self._break("P5", "ready though it is cut off", fault, call)
            for socket in self._history.sockets:
                if fault.touches(socket.replica) and (
                    socket.accepted < fault.start
                    and socket.closed > late
                    and not self._is_stopped(socket.replica, fault)
                ):
                    self._break("P5", "open though its replica is cut off", fault, socket)

    def _is_stopped(self, replica: str, during: Fault) -> bool:
        return any(
            fault.kind == "replica_stop"
            and fault.target == replica
            and fault.start < during.end
            and fault.end > during.start
            for fault in self._faults
        )


def _first_told(socket: Socket) -> float:
    return socket.notices[0].time if socket.notices else NEVER


class _Nothing:
    id = None


_NONE = _Nothing()
