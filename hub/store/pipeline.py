"""A pipelined connection: calls are sent without waiting for the answers to earlier ones.

redis-py uses a lock, a task and several timeouts for each command, and pipelines only the commands
of one caller. Here all callers share one connection: calls made in the same iteration of the event
loop leave in one write, and are answered in order. A hundred calls at once take an eighth of
redis-py's CPU time each, a single call two fifths (``python -m benchmarks.pipelining``).

The backlog is bounded. When the oldest call is not answered in time, all waiting calls fail at
once, instead of one after the other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeAlias

import structlog
from hiredis import ReplyError
from redis.asyncio import ConnectionPool
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import RedisError

from hub.errors import Unavailable
from hub.store.base import TIME_LIMIT
from hub.store.connection import RedisConnection, check_answers, describe_failure, pack
from hub.store.durability import NO_WAIT, PATIENCE, Durability
from hub.store.script import Script, Values, pack_values

log = structlog.get_logger(__name__)

Value: TypeAlias = str | bytes | int

BACKLOG = 20_000
"""Calls that may wait; further ones fail at once."""

HELD_UP = 0.1
"""If a deadline is noticed this many seconds late, the process was busy, and Redis may be fine."""
STUCK_AFTER = 60.0
"""Seconds of failure after which a pipeline may be stuck."""


class Unsent(Unavailable):
    """There was no connection to send the call over, so it did not run."""


class Refused(Unavailable):
    """Redis answered with an error, ``answer``."""

    def __init__(self, answer: str) -> None:
        super().__init__(f"the store refused ({answer})")
        self.answer = answer


class _Call:
    """A packed command, its deadline by the loop's clock, and the future of its answer."""

    __slots__ = ("answer", "deadline", "packed")

    def __init__(self, packed: bytes, deadline: float, answer: asyncio.Future[Any]) -> None:
        self.packed = packed
        self.deadline = deadline
        self.answer = answer

    def refuse(self, error: Unavailable) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Pipeline:
    """Calls scripts over one connection, which it gets from ``pool``.

    After a script with ``must_last``, `call` waits for ``durability``.
    """

    def __init__(self, pool: ConnectionPool, durability: Durability = NO_WAIT) -> None:
        self._pool = pool
        self._durability = durability
        self._patience = PATIENCE if durability else TIME_LIMIT
        self._connection: RedisConnection | None = None
        self._opening: asyncio.Task[RedisConnection] | None = None
        self._unsent: deque[_Call] = deque()
        self._unanswered: deque[_Call] = deque()
        self._flushing: asyncio.Handle | None = None
        self._watching: asyncio.TimerHandle | None = None
        self._failing_since: float | None = None
        self._is_closed = False

    async def call(self, script: Script, keys: Sequence[Value], values: Values) -> Any:
        """Run a script and return its answer.

        Raises:
            Unavailable: if Redis did not answer, or not in time; the script may have run.
            Unsent: if no connection could be made; the script did not run.
            Refused: if Redis answered with an error.
        """
        rest = (len(keys), *keys, pack_values(values))
        answer = await self._send(pack(b"EVALSHA", script.sha, *rest))
        if isinstance(answer, ReplyError) and str(answer).startswith("NOSCRIPT"):
            # A script that Redis does not know did not run, so it is not sent twice.
            answer = await self._send(pack(b"EVAL", script.text, *rest))
        return await self._finish(script, answer)

    async def call_asking(self, script: Script, keys: Sequence[Value], values: Values) -> Any:
        """Run a script on keys that are being moved to this node (https://redis.io/docs: ASK).

        Raises as `call` does.
        """
        # Both are sent in one write, so that no other call comes between them.
        asking = self._send(pack("ASKING"))
        answer = self._send(pack("EVAL", script.text, len(keys), *keys, pack_values(values)))
        answers = await asyncio.gather(asking, answer)
        return await self._finish(script, answers[1])

    async def command(self, *parts: Value) -> Any:
        """Run a command and return its answer; raises as `call` does."""
        return self._check(await self._send(pack(*parts)))

    @property
    def generation(self) -> object:
        """A token for the current connection; another one after a reconnect."""
        return self._connection

    @property
    def address(self) -> tuple[str, int] | None:
        """The host and port that it is connected to; None if it is not."""
        return None if self._connection is None else self._connection.address

    def drop_connection(self) -> None:
        """Drop the connection and fail the calls on it; the next call opens another."""
        if self._connection is not None:
            self._connection.abort()

    async def is_stuck(self) -> bool:
        """Return whether this has failed for `STUCK_AFTER` seconds although Redis answers."""
        now = asyncio.get_running_loop().time()
        if self._failing_since is None or now - self._failing_since < STUCK_AFTER:
            return False
        try:
            await check_answers(self._pool)
        except (RedisError, OSError, RuntimeError):
            return False
        try:
            await self.command("TIME")
        except Refused:
            return False
        except Unavailable:
            return True
        return False

    async def _finish(self, script: Script, answer: Any) -> Any:
        answer = self._check(answer)
        if script.must_last and self._durability:
            connection = self._connection
            for command, least in self._durability.commands():
                try:
                    reply = self._check(await self._send(command))
                except Unsent as error:
                    # The wait was not sent, but the script has run: `Unsent` would be wrong.
                    raise Unavailable(error.detail) from None
                counts = reply if isinstance(reply, list) else [reply]
                enough = all(n >= need for n, need in zip(counts, least, strict=True))
                if self._connection is not connection or not enough:
                    raise Unavailable("it was written, and may not last: ask again")
        return answer

    def _check(self, answer: Any) -> Any:
        if isinstance(answer, ReplyError):
            # Redis 6.2 puts an error of a script into an error of its own.
            if str(answer).startswith("READONLY") or "-READONLY " in str(answer):
                # It was demoted; opening another connection looks the master up again.
                self.drop_connection()
            raise Refused(str(answer))
        return answer

    async def close(self) -> None:
        """Fail all waiting and future calls, and close the connection.

        Waits for a connection that is being opened, since the loop may end right after this.
        """
        self._is_closed = True
        opening = self._opening
        self._give_up("the hub stops")
        if self._flushing is not None:
            self._flushing.cancel()
        if self._watching is not None:
            self._watching.cancel()
        if opening is not None:
            await asyncio.wait([opening])
        await self._pool.aclose()

    def _send(self, packed: bytes) -> asyncio.Future[Any]:
        if self._is_closed:
            raise Unsent("the hub stops")
        if len(self._unsent) + len(self._unanswered) >= BACKLOG:
            raise Unavailable("too many requests wait for the store")
        loop = asyncio.get_running_loop()
        call = _Call(packed, loop.time() + self._patience, loop.create_future())
        self._unsent.append(call)
        if self._flushing is None:
            self._flushing = loop.call_soon(self._flush)
        if self._watching is None:
            self._watching = loop.call_at(call.deadline, self._watch)
        return call.answer

    def _flush(self) -> None:
        self._flushing = None
        if self._connection is not None:
            self._connection.write(b"".join([call.packed for call in self._unsent]))
            self._unanswered.extend(self._unsent)
            self._unsent.clear()
        elif self._opening is None:
            self._opening = asyncio.create_task(self._open())
            # Not by `finally`, which never runs in a task that is cancelled before its first step.
            self._opening.add_done_callback(self._end_opening)

    async def _open(self) -> RedisConnection:
        connection = RedisConnection(self._on_answer, self._on_loss)
        await connection.open(self._pool)
        return connection

    def _end_opening(self, opening: asyncio.Task[RedisConnection]) -> None:
        self._opening = None
        if not opening.cancelled():
            self._take_over(opening)
        if self._unsent:
            self._flush()

    def _take_over(self, opening: asyncio.Task[RedisConnection]) -> None:
        error = opening.exception()
        if error is None and opening.result().address is None:
            error = Lost("the connection was closed at once")
        if error is None:
            self._connection = opening.result()
            if self._is_closed:
                self._connection.abort()
        else:
            if not isinstance(error, RedisError | OSError):
                log.error("a connection to the store could not be opened", exc_info=error)
            self._refuse(
                self._unsent, f"the store did not answer ({describe_failure(error)})", Unsent
            )

    def _on_answer(self, answer: Any) -> None:
        self._failing_since = None
        call = self._unanswered.popleft()
        if not call.answer.done():
            call.answer.set_result(answer)

    def _on_loss(self, connection: RedisConnection) -> None:
        if connection is not self._connection:
            return
        # Calls that were not sent yet did not run, and are sent over the next connection.
        self._connection = None
        self._refuse(self._unanswered, "the store did not answer (the connection was lost)")
        if self._unsent:
            self._flush()

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = next(iter(self._unanswered or self._unsent), None)
        self._watching = None
        if oldest is None:
            return
        if loop.time() > oldest.deadline + HELD_UP:
            # Timers run before the loop reads what Redis has answered meanwhile.
            oldest.deadline = loop.time() + HELD_UP
        if oldest.deadline <= loop.time():
            self._give_up("the store did not answer in time")
        else:
            self._watching = loop.call_at(oldest.deadline, self._watch)

    def _give_up(self, why: str) -> None:
        # A late answer may still arrive over this connection, so it is not used again.
        if self._opening is not None:
            self._opening.cancel()
        if self._connection is not None:
            self._connection.abort()
            self._connection = None
        self._refuse(self._unanswered, why)
        self._refuse(self._unsent, why)

    def _refuse(self, calls: deque[_Call], why: str, kind: type[Unavailable] = Unavailable) -> None:
        if calls and self._failing_since is None:
            self._failing_since = asyncio.get_running_loop().time()
        while calls:
            calls.popleft().refuse(kind(why))
