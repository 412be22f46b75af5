"""Writes logouts, logs and counts them, and reads their receipts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TypeAlias

import msgspec
import structlog

from hub.access.audit import Audit
from hub.access.completion import Completions
from hub.access.limits import Refusals
from hub.access.requests import new_id
from hub.core.model import (
    Identity,
    Logout,
    Outcome,
    Reason,
    Receipt,
    Scope,
    State,
    UserKey,
    seconds,
)
from hub.core.revocation import apply_leeway, judge
from hub.errors import NotFound, RateLimited, TokenTooOld, Unavailable
from hub.metrics import Metrics
from hub.store.base import Store
from hub.store.values import Claim, Command, DataLoss, Unsure

log = structlog.get_logger(__name__)

AT_ONCE = 500
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
TURNS = 2
"""Turns of the event loop that a new logout waits before it is logged and answered.

Its event most likely arrives together with the answer of the store, in which case it is read in the
first turn and handled in the second: the sockets here are notified before anything else is done.
"""

COUNT_PATIENCE = 1.0
"""Seconds to wait for the number of sessions that a logout of everyone ends."""

Place: TypeAlias = tuple[int, UserKey, str]
"""A position in the list of a logout's sessions: partition, user and session id."""


class Logouts:
    """Logouts, for all interfaces of the hub."""

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        completions: Completions | None = None,
        audit: Audit | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._completions = completions
        self._audit = audit
        self._refusals = refusals or Refusals(metrics)

    async def write(self, command: Command, by: str, address: str | None = None) -> Receipt:
        """Write a logout and return its receipt; raises as `Store.end` does.

        ``by`` is an administrator's name for the logs; ``address`` is the caller's for the audit
        log.
        """
        receipt = await self._store.end(command)
        return await self._account_for(receipt, by, address)

    async def write_own(
        self,
        caller: Identity,
        command: Command,
        address: str | None = None,
        by: str = "user",
        *,
        at_once: bool = False,
        may_be_too_old: bool = False,
    ) -> Receipt:
        """Write a logout that a session requests, as `write` does, if that session is alive.

        ``by`` names the sender of the session's token, if that is not its user. With
        ``at_once``, this returns before the sockets here are notified, so that the socket that
        asked gets its answer before its own notification. With ``may_be_too_old``, the session's
        token may be of the same second as a logout (`TokenTooOld`).

        Usually the store can decide that itself, which saves a round trip.

        Raises:
            Unauthorized: if the session is not alive.
        """
        try:
            answer = await self._store.end_own(command, apply_leeway(caller))
            if isinstance(answer, Unsure):
                state = await self._store.look(caller)
                refusal = judge(caller, state)
                if may_be_too_old and isinstance(refusal, TokenTooOld):
                    refusal = judge(caller, msgspec.structs.replace(state, cutoffs=()))
                if refusal is not None:
                    raise refusal
                answer = await self._store.end(command, limited=True)
        except RateLimited:
            self._refusals.note("logouts", caller.user)
            raise
        return await self._account_for(answer, by, address, at_once=at_once)

    async def recall(self, command: Command) -> Receipt | None:
        """Return the receipt of an earlier request with the same key; raises as `Store.recall`."""
        return await self._store.recall(command)

    async def recover(self, loss: DataLoss) -> None:
        """Recover from a data loss: end all sessions whose logouts may have been lost.

        Raises:
            Unavailable: if that may not have been written.
        """
        logout = Logout(id=new_id(), user=None, scope=Scope.ALL, reason=Reason.POLICY)
        receipt = await self._store.recover(loss, logout)
        if receipt is not None:
            self._note(receipt, "loss", None)

    async def _account_for(
        self, receipt: Receipt, by: str, address: str | None, *, at_once: bool = False
    ) -> Receipt:
        if receipt.repeated:
            return receipt
        for _ in range(0 if at_once else TURNS):
            await asyncio.sleep(0)
        if receipt.logout.user is None:
            receipt = await self._count(receipt)
        self._note(receipt, by, address)
        return receipt

    def _note(self, receipt: Receipt, by: str, address: str | None) -> None:
        logout = receipt.logout
        scope, reason = logout.scope, logout.reason
        sessions = len(receipt.sessions) + sum(receipt.counts.values())
        origin = _describe_origin(logout)
        self._metrics.logouts.inc(scope, reason)
        log.info(
            "logout",
            id=logout.id,
            user=logout.user,
            scope=scope,
            reason=reason,
            sessions=sessions,
            by=by,
            **origin,
        )
        if self._audit is not None:
            self._audit.note(
                "logout",
                id=logout.id,
                by=by,
                address=address,
                user=logout.user,
                scope=scope,
                sid=logout.sid,
                reason=reason,
                sessions=sessions,
                **origin,
            )

    async def _count(self, receipt: Receipt) -> Receipt:
        """Return the receipt of a logout of everyone once each replica has reported its sessions.

        After `COUNT_PATIENCE`, or if the store fails, returns the latest receipt.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + COUNT_PATIENCE
        with contextlib.suppress(Unavailable):
            while (known := await self._store.receipt(receipt.logout.id, None)) is not None:
                receipt = known
                if receipt.counted or loop.time() > deadline:
                    break
                await asyncio.sleep(FIRST_PAUSE)
        return receipt

    async def outcomes(
        self, logout_id: str, state: State | None, after: Place | None, limit: int
    ) -> tuple[list[Outcome], Place | None]:
        """Return a page of a logout's sessions, and the place after which the next page begins.

        Only sessions in ``state`` are returned, if it is given. A page has ``limit`` of them; only
        the last may have fewer, and then the place is None.

        Raises:
            NotFound: if there is no such logout.
            Unavailable: if the store cannot be reached.
        """
        if after is None:
            await self.read(logout_id, None)
        partition, *reached = after or (0, "", "")
        found: list[tuple[Place, Outcome]] = []
        for number in range(max(0, partition), self._store.partition_count):
            for one in await self._store.outcomes(logout_id, number):
                place = (number, one.user or "", one.sid)
                if place > (partition, *reached) and state in (None, one.state):
                    found.append((place, one))
            if len(found) > limit:
                break
        page = [one for _, one in found[:limit]]
        return page, found[limit - 1][0] if len(found) > limit else None

    async def read(self, logout_id: str, user: UserKey | None, wait: float = 0) -> Receipt:
        """Return a logout's receipt, once it is complete or after ``wait`` seconds.

        Raises:
            NotFound: if there is none, or none for this user.
            Unavailable: if the store cannot be reached.
        """
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + wait, FIRST_PAUSE
        while True:
            receipt = await self._store.receipt(logout_id, user)
            if receipt is None:
                raise NotFound("no such logout")
            left = deadline - loop.time()
            if receipt.complete or left <= 0:
                return receipt
            await asyncio.sleep(min(pause, left))
            pause = min(1.5 * pause, LONGEST_PAUSE)

    async def read_again(self, receipt: Receipt, user: UserKey | None, wait: float = 0) -> Receipt:
        """Return a receipt as `read` does, or ``receipt`` itself if it cannot be read.

        The logout was written, so the request must not fail; and an idempotency key may be kept for
        longer than the receipt.
        """
        with contextlib.suppress(NotFound, Unavailable):
            return await self.read(receipt.logout.id, user, wait)
        return receipt

    async def write_all(
        self,
        commands: Sequence[Command],
        claim: Claim | None,
        by: str,
        address: str | None = None,
    ) -> list[Receipt]:
        """Write an administrator's logouts, a limited number at once.

        ``claim`` claims the idempotency key for all of them before any is written.

        Raises:
            KeyReused: if the key was used for other logouts; none is written.
            Unavailable: if any of them may not have been written; all may be requested again.
        """
        if claim is not None:
            # The id of an earlier attempt, so that all logouts have the same one.
            shared = await self._store.claim(claim)
            commands = [_rename(command, shared) for command in commands]
        receipts: list[Receipt] = []
        for start in range(0, len(commands), AT_ONCE):
            chunk = commands[start : start + AT_ONCE]
            receipts += await asyncio.gather(
                *(self.write(command, by, address) for command in chunk)
            )
        new = [receipt for receipt in receipts if not receipt.repeated]
        if new and self._completions is not None:
            newest = max(new, key=lambda receipt: receipt.logout.at)
            self._completions.watch(msgspec.structs.replace(newest, users=len(receipts)))
        return receipts


def _describe_origin(logout: Logout) -> dict[str, str | float]:
    """Return what a signal said about a logout; nothing if no signal asked for it."""
    origin = logout.origin
    if origin is None:
        return {}
    facts = {
        "sender": origin.by,
        "signal": origin.event,
        "event_timestamp": None if origin.at is None else seconds(origin.at),
        "initiating_entity": origin.initiating_entity,
        "reason_admin": origin.reason_admin,
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def _rename(command: Command, logout_id: str) -> Command:
    logout = msgspec.structs.replace(command.logout, id=logout_id)
    return msgspec.structs.replace(command, logout=logout)
