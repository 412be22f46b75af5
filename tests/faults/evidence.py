"""What a history says for sure of tokens, and what it leaves open: proofs and possibilities.

Nobody knows the instant at which a logout was written, only that it lies between the first request
and the answer. So there are two relations. A *proof* says of which tokens it is *certain* that they
are dead, and since when: from an answer, or from a notice that a socket was given (who is told must
not find the token alive a moment later). And a logout *may* have ended a token, unless that is
impossible. What must not be accepted is judged by the first, what must not be touched by the
second; in between, both outcomes are right.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator

import msgspec

from tests.faults.history import NEVER, Fault, History, Logout, Notice, Socket, Token

SIGNAL = "identity_provider"
"""The reason of a logout that a signal asked for, and of no other here."""
HARMLESS = {"clock", "guard_clock"}
"""Faults that must have no effect at all."""
LONGEST_FAULT = 120.0
"""No fault lasts longer; how far back to look for those that are still felt."""
LONGEST_SOCKET = 120.0
"""No socket lives longer; how far back to look for what ended it."""


class Proof(msgspec.Struct, frozen=True):
    """A logout that is known to be written since ``since``, as ``shown_by`` shows.

    ``asked`` is when it was asked for first, in Unix time, and ``at`` its exact time, if known.
    """

    logout: Logout
    since: float
    asked: float
    at: float | None
    shown_by: Logout | Socket

    def is_certain(self, token: Token) -> bool:
        """Tell whether a token is dead by it for sure; its user is known to be concerned."""
        if self.logout.spares(token.sid):
            return False
        if self.logout.named == token.sid and token.login is None:
            return True
        if self.logout.happened is not None:
            # What a signal says of a second is cut off at the time when it comes.
            until = min(self.logout.reaches, self.asked)
            # A session may have been refreshed since, which saves tokens of that very second.
            is_last = token.latest == until and token.login is not None
            return token.latest < until or is_last
        if token.latest < self.asked:
            return True
        return self.at is not None and token.latest <= self.at


class Evidence:
    """A history, arranged for the two questions.

    ``unsettled`` is for how many seconds after its last request a logout whose outcome is unknown
    may still be written.
    """

    def __init__(self, history: History, unsettled: float) -> None:
        self._epoch = history.epoch
        self._unsettled = unsettled
        self._faults = sorted(history.faults, key=lambda fault: fault.start)
        self._begun = [fault.start for fault in self._faults]
        users = {socket.token.user for socket in history.sockets}
        users |= {check.token.user for check in history.checks}
        self.by_user: dict[str, list[Logout]] = defaultdict(list)
        for logout in sorted(history.logouts, key=lambda logout: logout.start):
            for user in users if logout.users is None else logout.users:
                self.by_user[user].append(logout)
        self._births: dict[tuple[str, str], float] = {}
        for check in history.checks:
            session, begun = (check.token.user, check.token.sid), check.token.begun
            self._births[session] = min(begun, self._births.get(session, NEVER))
        self._proofs: dict[str, list[Proof]] = defaultdict(list)
        self._add_answers()
        self._add_notices(history.sockets)
        self._named: dict[tuple[str, str], Proof] = {}
        for user, proofs in self._proofs.items():
            proofs.sort(key=lambda proof: proof.since)
            for proof in proofs:
                if (named := proof.logout.named) is not None:
                    self._named.setdefault((user, named), proof)
        self._since = {u: [proof.since for proof in proofs] for u, proofs in self._proofs.items()}

    def _add_answers(self) -> None:
        for user, logouts in self.by_user.items():
            self._proofs[user] += filter(None, map(self.proof_of, logouts))

    def _add_notices(self, sockets: list[Socket]) -> None:
        told: set[tuple[str, str]] = set()
        for socket in sorted(sockets, key=_first_told):
            user = socket.token.user
            for notice in socket.notices:
                if notice.reason != "expired" and (user, notice.id) not in told:
                    told.add((user, notice.id))
                    said = Logout(notice.id, "notice", (user,), notice.scope, notice.sid)
                    asked = 0.0
                    if notice.reason == SIGNAL:
                        said.happened, asked = self._reported(user, notice)
                    proof = Proof(said, notice.time, asked, notice.at, socket)
                    self._proofs[user].append(proof)

    def _reported(self, user: str, notice: Notice) -> tuple[float | None, float]:
        """Return the earliest time that a notice's signal may state, and when it may have come."""
        about = [one for one in self.by_user[user] if self.may_be(notice, one)]
        times = [one.happened for one in about if one.happened is not None]
        return min(times, default=None), min((one.start for one in about), default=0) + self._epoch

    def proof_of(self, logout: Logout) -> Proof | None:
        """Return what the answer to a logout proves, if it has one."""
        answer = logout.answer
        if answer is None:
            return None
        # Of several users, and of everyone in several partitions, only one time is answered.
        at = answer.at if logout.is_of_one else None
        return Proof(logout, answer.end, logout.start + self._epoch, at, logout)

    def proof_against(self, token: Token, before: float) -> Proof | None:
        """Return a proof that a token was dead before an instant."""
        named = self._named.get((token.user, token.sid))
        if named is not None and named.since < before and named.is_certain(token):
            return named
        # What was known before a token began does not concern it, unless it names its session.
        issued = token.begun - self._epoch - 1
        proofs, since = self._proofs.get(token.user, []), self._since.get(token.user, [])
        for proof in proofs[bisect_left(since, issued) : bisect_left(since, before)]:
            if proof.is_certain(token):
                return proof
        return None

    def possible(self, token: Token, start: float, end: float) -> Iterator[Logout]:
        """Yield the logouts, newest first, that may have ended a token between two instants."""
        # Where tokens tell of their login, no other login of the session explains anything.
        tells = token.login is not None
        first = token.begun if tells else self._births.get((token.user, token.sid), token.begun)
        born = first - self._epoch
        for logout in reversed(self.by_user.get(token.user, [])):
            if logout.start <= end and logout.may_have_happened and not logout.spares(token.sid):
                until = self._last_instant(logout)
                named = logout.named == token.sid and not tells
                reaches = until if logout.happened is None else logout.reaches - self._epoch
                if until >= start - LONGEST_SOCKET and (named or born <= reaches):
                    yield logout

    def may_be(self, notice: Notice, logout: Logout) -> bool:
        """Tell whether a notice may speak of this logout."""
        if (notice.scope, notice.sid) != (logout.scope, logout.sid):
            return False
        if logout.is_signal or notice.reason == SIGNAL:
            # Its answer does not say the id.
            is_asked = logout.is_signal and logout.start <= notice.time
            return is_asked and notice.reason == SIGNAL
        answer = logout.answer
        if answer is not None and answer.id == notice.id:
            return True
        # Who was not answered does not know the id. Some of several users may have been logged out
        # by a request that was not answered, and the others by its repetition, under another id.
        if not logout.was_unknown or (answer is not None and logout.is_of_one):
            return False
        # A repetition that was refused proves that nothing was written until then.
        refused = [attempt.start for attempt in logout.attempts if attempt.outcome == "refused"]
        return notice.time > max(refused, default=0.0)

    def _last_instant(self, logout: Logout) -> float:
        answer = logout.answer
        if answer is None:
            return max(attempt.end for attempt in logout.attempts) + self._unsettled
        if answer.at is not None and logout.is_of_one:
            return answer.at - self._epoch
        return answer.end

    def faults(
        self, start: float, end: float, replica: str | None, after: float, user: str | None = None
    ) -> Iterator[Fault]:
        """Yield the faults that a replica felt between two instants, or until ``after`` before.

        With ``user`` only those that it felt in what it did for this one; without a ``replica``
        those that any felt.
        """
        first = bisect_left(self._begun, start - after - LONGEST_FAULT)
        for fault in self._faults[first : bisect_right(self._begun, end)]:
            if fault.kind in HARMLESS:
                continue
            if replica is not None and not fault.touches(replica, user):
                continue
            if fault.end + after >= start:
                yield fault


def _first_told(socket: Socket) -> float:
    return socket.notices[0].time if socket.notices else NEVER
