"""The port to the state that all replicas share.

Every implementation passes the test suite in ``tests/contract``. Each method documents what it
guarantees; these rules hold for all of them:

- Times are by the store's clock, read where the change is made; no caller's clock is used.
- A method either succeeds or raises. `Unavailable` means that the outcome is unknown: a change may
  have been made. No method retries a change by itself.
- No method takes longer than `TIME_LIMIT` seconds, except `follow`.
- A store reports facts; only `hub.core.revocation` decides what follows from them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol

from hub.core.model import (
    SECOND,
    Identity,
    Logout,
    Micros,
    Outcome,
    Position,
    Receipt,
    RevocationState,
    UserKey,
)
from hub.core.signal import SignalRecord
from hub.store.values import (
    Claim,
    Command,
    DataLoss,
    Departure,
    Event,
    History,
    Note,
    Registration,
    Registry,
    Report,
    Unsure,
)

TIME_LIMIT = 1.0
"""Seconds after which a store that has not answered counts as unavailable."""

LEASE: Micros = 15 * SECOND
"""How long a replica's lease lasts unless it is renewed."""

CHECK_INTERVAL = 1.0
"""Seconds between two reads of the log, which find the logouts that the channel lost."""

KEY_LIFETIME: Micros = 24 * 3600 * SECOND
"""How long an idempotency key is remembered."""

RECEIPT_LIFETIME: Micros = 24 * 3600 * SECOND
"""How long after a logout its receipt can be read, by default."""

NOTES_LIFETIME: Micros = 30 * 24 * 3600 * SECOND
"""How long notes are kept after the last of them."""

HISTORY_PAGE = 200
"""The maximum number of log entries in a page."""

SIGNALS_KEPT = 10_000
"""How many records of signals are kept, approximately: the newest of all replicas."""

SIGNALS_PAGE = 500
"""The maximum number of records of signals in a page."""


class Store(Protocol):
    """State shared by all replicas. An asynchronous context manager: enter before use."""

    async def now(self) -> Micros:
        """Return the store's time, which dates logouts, whatever this machine's clock says."""
        ...

    async def look(self, identity: Identity) -> RevocationState:
        """Return what is known about a session at one instant; changes nothing.

        Reflects every `end` that returned before this call.
        """
        ...

    async def register(self, registration: Registration) -> RevocationState:
        """Register a session, or renew its registration, and return what `look` would.

        Both happen at one instant. A session is not registered if it has a tombstone that the
        token's login does not outlive, if the token has expired, or if it is new and a cut-off
        ended it. Registration proves nothing: the caller judges the returned state.

        If the user has too many sessions, sessions per token that no replica holds are removed, a
        few at a time.

        Raises:
            RateLimited: if the user still has too many sessions.
        """
        ...

    async def sessions(self, user: UserKey) -> Registry:
        """Return a user's registered sessions that have not expired, oldest first.

        Reflects every `end` that returned before this call, and possibly those during it.

        Raises:
            RateLimited: if too many lists of this user are requested at once.
        """
        ...

    async def end(self, command: Command, *, limited: bool = False) -> Receipt:
        """Write a logout: once this returns, no `look` shows a session in its scope as alive.

        At one instant, the sessions in scope are copied to the receipt, get tombstones and leave
        the registry; scopes ``all`` and ``others`` write a cut-off, which is never older or
        shorter-lived than the current one (`supersede` says what is kept of that); the logout is
        appended to the log, with the ids of the sessions that got tombstones, and published. With
        `Logout.before`, only sessions begun by then are in scope (`ends_registered`), and no
        cut-off or tombstone replaces one with a later horizon. A logout of everyone (``user`` None)
        does this at one instant for each partition, its receipt names no sessions, and it is a
        recovery from any data loss.

        If the same user has used the same ``key`` before, the first receipt is returned, as
        ``repeated``, and nothing is changed. A ``limited`` logout counts towards the limit of how
        often its user may log out.

        Raises:
            NotFound: because of ``must_exist``; nothing was changed.
            KeyReused: if the key was used for another logout; nothing was changed.
            RateLimited: if it is ``limited`` and over the limit; nothing was changed.
        """
        ...

    async def end_own(self, command: Command, caller: Identity) -> Receipt | Unsure:
        """Write a logout that a user requests, limited, if the caller's token is surely alive.

        That is, if `is_surely_alive` holds for ``caller`` at the instant of writing, and the store
        has not lost data. `Unsure` does not mean that the token is revoked: call `look`, judge the
        state, then call `end`. Raises as `end` does.
        """
        ...

    async def refuse_session(self, iss: str, logout: Logout) -> tuple[UserKey, ...]:
        """Refuse a session of an issuer whose user is not known, and return who has registered it.

        ``logout`` is without a user, of scope ``session``, with ``before``. Once this returns,
        nobody's session with this id is alive for `look` and `register`, by the same rule as after
        `end`; a later ``before`` replaces an earlier one. Sessions that are registered are not
        ended by this: end those of the users that are returned. A refusal that changes something is
        appended to the log of each partition and published, as an event of this issuer.

        Raises:
            Unavailable: if it failed in any partition; repeating it is safe.
        """
        ...

    async def recall(self, command: Command) -> Receipt | None:
        """Return the receipt of an earlier request with the same key, or None; changes nothing.

        It is as `end` first returned it, but ``repeated``.

        Raises:
            KeyReused: if the key was used for another logout.
        """
        ...

    async def claim(self, claim: Claim) -> str:
        """Claim an idempotency key for a list of logouts, and return the id for them.

        It is the claim's own id, or that of an earlier claim for the same list. Claimed keys are
        separate from the keys of single logouts.

        Raises:
            KeyReused: if the key was claimed for another list.
        """
        ...

    async def recover(self, loss: DataLoss, logout: Logout) -> Receipt | None:
        """Recover from a data loss: write a logout of everyone in that partition only.

        Returns None if another replica has done so; nothing was changed then.
        """
        ...

    async def renew(self, lease: str, departures: Sequence[Departure] = ()) -> Mapping[int, str]:
        """Renew a replica's lease in every partition, or record departures.

        With departures the lease is renewed only in their partitions. A departure is ignored if the
        session was registered again later. Since this is a small write to every partition, it also
        shows whether the store can be written to: returns the partitions in which it failed, each
        with the reason.

        Raises:
            Unavailable: if it failed in all of them.
        """
        ...

    async def report(self, report: Report) -> None:
        """Add a replica's report to a logout's receipt; does nothing if there is no receipt."""
        ...

    async def receipt(self, logout_id: str, user: UserKey | None) -> Receipt | None:
        """Return the receipt of a logout, for one user or (None) for all of its users.

        Returns None if there is none, or none for this user. The sessions of a logout of everyone
        are counted, not named: `outcomes` names them.
        """
        ...

    @property
    def partition_count(self) -> int:
        """The number of partitions."""
        ...

    def partition_of(self, user: UserKey) -> int:
        """Return the partition of a user."""
        ...

    async def outcomes(self, logout_id: str, partition: int) -> list[Outcome]:
        """Return the sessions of a logout in one partition, ordered by user and session."""
        ...

    async def hold(self, name: str, holder: str, seconds: float) -> bool:
        """Take or renew a hold for some seconds, and return whether the holder has it now.

        A hold is for something that one replica alone should do. No other holder can take it until
        it is released or lapses.
        """
        ...

    async def release(self, name: str, holder: str) -> None:
        """Release a hold; does nothing if this holder does not have it."""
        ...

    async def note(self, name: str, kind: str, text: str, *, times: int = 1) -> None:
        """Store a note about something; it replaces the previous note of that kind.

        It counts as ``times`` notes. Notes are for operators; the hub makes no decisions by them.
        """
        ...

    async def notes(self, name: str) -> Mapping[str, Note]:
        """Return the newest note of each kind about something."""
        ...

    async def add_signals(self, records: Sequence[SignalRecord]) -> None:
        """Store records of signals. They are for operators; the hub makes no decisions by them."""
        ...

    async def signals(self, after: str | None = None) -> tuple[str, Sequence[SignalRecord]]:
        """Return records of signals after a place, oldest first, and the place of the last one.

        At most `SIGNALS_PAGE` are returned. Without ``after``, none are returned, and the place is
        that of the newest record. Unreadable records are left out.
        """
        ...

    async def is_stuck(self) -> bool:
        """Return whether a restart of this process is needed to reach the store again."""
        ...

    async def history(self, partition: int, after: Position | None = None) -> History:
        """Return a page of the log of a partition: from its beginning, or after a position.

        The log has every logout that is still remembered. Applied in any order, the pages up to the
        end of the log say what `look` says of any session that is not registered.

        Raises:
            PositionLost: if the log cannot be read on from there: it has lost that entry, or has
                dropped it after its lifetime, or a data loss has begun another epoch.
            Unavailable: if the partition cannot be read, or the store has lost data of it.
        """
        ...

    def follow(self) -> AsyncGenerator[Event]:
        """Yield each logout once, in the order of writing within a partition, and any problems.

        A call continues where the previous one ended; the first begins at the logs' ends, with a
        `Gap`. Each partition is `Confirmed` at least every `CHECK_INTERVAL` seconds, or else
        `Interrupted`, independently of the others. Only one reader at a time.

        Raises:
            Unavailable: if no partition can be read; the generator never ends otherwise.
        """
        ...
