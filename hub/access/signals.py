"""Carries out signals, which are messages from other systems that end sessions.

A signal is done when its logout is stored. A repeated one is recognized by its id, which is stored
together with the logout, never before it.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter

import structlog

from hub.access.audit import Audit
from hub.access.completion import Completions
from hub.access.limits import Limits
from hub.access.logouts import Logouts
from hub.access.requests import new_id
from hub.access.signal_log import SignalLog
from hub.core.model import SECOND, Logout, Micros, Receipt, Scope, UserKey, user_key
from hub.core.refusal import Refusal, SignalRefused
from hub.core.signal import Channel, Signal, SignalRecord, Target, Verdict
from hub.metrics import Metrics
from hub.store.base import Store
from hub.store.values import Claim, Command, KeyReused

log = structlog.get_logger(__name__)

LOG_EVERY = 1.0
"""Seconds between two log lines about refused signals."""


class Signals:
    """Ends the sessions that signals name, and counts and records all signals."""

    def __init__(
        self,
        store: Store,
        logouts: Logouts,
        completions: Completions,
        limits: Limits,
        metrics: Metrics,
        audit: Audit,
        records: SignalLog,
    ) -> None:
        self._store = store
        self._logouts = logouts
        self._completions = completions
        self._limits = limits
        self._metrics = metrics
        self._audit = audit
        self._records = records
        self._unlogged: Counter[str] = Counter()
        self._logged_at = float("-inf")

    async def take(
        self, signal: Signal | None, channel: Channel, by: str, event: str | None = None
    ) -> bool:
        """Carry out a signal of the sender ``by``, once; None if it requires no action.

        Returns whether the hub knew a session that it ended; a repeated signal gets the same
        answer. ``event`` is the name of an event that requires no action, if known.

        Raises:
            Unavailable: if it may not have been stored; it may be sent again.
            SignalRefused: if its id was used for something else.
        """
        if signal is None:
            self._account_for(SignalRecord(channel, Verdict.IGNORED, by, event))
            return False
        self._metrics.signal_age.observe(_age(signal), channel, by)
        try:
            receipts = [
                receipt
                for target in signal.targets
                for receipt in await self._end(signal, target, f"signal:{channel}")
            ]
        except KeyReused:
            raise SignalRefused(Refusal.REUSED, "the jti was used for another logout") from None
        is_known = _knew(receipts)
        verdict = _verdict_of(receipts, is_known)
        if verdict is Verdict.ENDED:
            self._watch(signal, receipts)
        event, logout = signal.origin.event, next((one.logout.id for one in receipts), None)
        self._audit.note(
            "signal",
            id=signal.id,
            channel=channel,
            by=by,
            signal=event,
            verdict=verdict,
            logout=logout,
        )
        self._account_for(SignalRecord(channel, verdict, by, event, signal.id, logout))
        return is_known

    async def _end(self, signal: Signal, target: Target, by: str) -> list[Receipt]:
        shared = new_id()
        users = await self._find_users(signal, target, shared)
        return [
            await self._logouts.write(_command(signal, target, user, shared), by) for user in users
        ]

    async def _find_users(self, signal: Signal, target: Target, shared: str) -> tuple[UserKey, ...]:
        """Return whose sessions end; a session without a named user is refused for any user.

        That is written before it is known for whom, so that the id is claimed first: by nothing
        else can it be told that it was used for another session.

        Raises:
            KeyReused: if it was.
        """
        if target.user is not None:
            return (target.user,)
        session = hashlib.sha256(user_key(target.iss, target.sid or "").encode()).hexdigest()
        await self._store.claim(Claim(_key(signal), session, shared))
        command = _command(signal, target, None, shared)
        return await self._store.refuse_session(target.iss, command.logout)

    async def now(self) -> Micros:
        """Return the time by which signals are judged: the store's, as for tokens.

        Raises:
            Unavailable: if the store does not answer.
        """
        return await self._store.now()

    def _account_for(self, record: SignalRecord) -> None:
        self._metrics.signals.inc(record.channel, str(record.by), str(record.verdict))
        self._records.add(record)

    def _watch(self, signal: Signal, receipts: list[Receipt]) -> None:
        """Measure the time until the last device has acknowledged."""
        loop = asyncio.get_running_loop()
        began = loop.time()

        def note() -> None:
            took, origin = loop.time() - began, signal.origin
            self._metrics.signal_acknowledged.observe(took, signal.channel, origin.by)

        for receipt in receipts:
            self._completions.watch(receipt, note)

    def refuse(self, channel: Channel, error: SignalRefused, address: str | None) -> None:
        """Count and record a refused signal; at most one log line per second is written.

        ``address`` is the sender's, if it called the hub.

        Raises:
            RateLimited: if too many signals from this address were refused.
        """
        self._metrics.signals_refused.inc(channel, error.reason)
        self._records.add_refused(channel, error.detail)
        self._unlogged[f"{channel}: {error.detail}"] += 1
        now = asyncio.get_running_loop().time()
        if now - self._logged_at >= LOG_EVERY:
            self._logged_at = now
            (text, _), *_ = self._unlogged.most_common(1)
            log.warning("a signal was refused", error=text, refused=self._unlogged.total())
            self._unlogged.clear()
        if address is not None:
            self._limits.charge_refused(address)


def _command(signal: Signal, target: Target, user: UserKey | None, shared: str) -> Command:
    sid = target.sid
    return Command(
        Logout(
            id=shared,
            user=user,
            scope=Scope.ALL if sid is None else Scope.SESSION,
            reason=signal.reason,
            sid=sid,
            message=signal.message,
            before=signal.before,
            profile=signal.profile,
            origin=signal.origin,
        ),
        also=sid,
        key=_key(signal) if target.user is not None else f"{_key(signal)}:{sid}",
    )


def _key(signal: Signal) -> str:
    return f"signal:{signal.origin.by}:{signal.id}"


def _knew(receipts: list[Receipt]) -> bool:
    # A session without a device was ended by its id alone; the hub has never seen it.
    return any(outcome.device for receipt in receipts for outcome in receipt.sessions)


def _verdict_of(receipts: list[Receipt], is_known: bool) -> Verdict:
    if receipts and all(receipt.repeated for receipt in receipts):
        return Verdict.REPEATED
    return Verdict.ENDED if is_known else Verdict.NOBODY


def _age(signal: Signal) -> float:
    return max(0.0, time.time() - signal.issued_at / SECOND)
