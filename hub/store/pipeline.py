"""A pipelined connection: scripts are called without waiting for the ones before.

redis-py writes each command with a lock, a task and several timeouts of its own, and pipelines only
what one caller has collected. Here all callers share one connection: what they call in the same
turn of the event loop leaves in one write, and is answered in order. A hundred calls at once take
an eighth of redis-py's CPU each, a call alone two fifths (``python -m benchmarks.pipelining``).

The backlog is bounded. When the oldest call is not answered in time, everything that waits fails
at once, instead of each call in its turn.
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
from hub.store.connection import RedisConnection, answers, describe_failure, pack
from hub.store.durability import NO_WAIT, PATIENCE, Durability
from hub.store.script import Script, Values, pack_values

log = structlog.get_logger(__name__)

Value: TypeAlias = str | bytes | int

BACKLOG = 20_000
STUCK_AFTER = 60.0
"""Seconds without an answer after which a pipeline is looked at."""


class Unsent(Unavailable):
    """There was no connection to send the call over, so it did not run."""


class Refused(Unavailable):
    """Redis answered with an error, ``answer``."""

    def __init__(self, answer: str) -> None:
        super().__init__(f"the store refused ({answer})")
        self.answer = answer


class _Call:
    __slots__ = ("answer", "deadline", "packed")

    def __init__(self, packed: bytes, patience: float) -> None:
        loop = asyncio.get_running_loop()
        self.packed = packed
        self.deadline = loop.time() + patience
        self.answer: asyncio.Future[Any] = loop.create_future()

    def refuse(self, error: Unavailable) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Pipeline:
    """Calls scripts on the Redis that ``pool`` makes connections to, over one of its own.

    ``durability`` is what scripts that must last wait for.
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
            Unavailable: when Redis did not answer, or not in time; whether the script ran is then
                unknown.
            Unsent: when no connection could be made.
            Refused: when Redis answered with an error.
        """
        rest = (len(keys), *keys, pack_values(values))
        answer = await self._send(pack(b"EVALSHA", script.sha, *rest))
        if isinstance(answer, ReplyError) and str(answer).startswith("NOSCRIPT"):
            # A script that Redis does not know did not run, so sending its text is no repetition.
            answer = await self._send(pack(b"EVAL", script.text, *rest))
        return await self._finish(script, answer)

    async def ask(self, script: Script, keys: Sequence[Value], values: Values) -> Any:
        """Run a script on keys that are just moving to this node (https://redis.io/docs: ASK).

        Raises as `call` does.
        """
        # Both leave in one write, so that no other call comes between them.
        asking = self._send(pack("ASKING"))
        answer = self._send(pack("EVAL", script.text, len(keys), *keys, pack_values(values)))
        answers = await asyncio.gather(asking, answer)
        return await self._finish(script, answers[1])

    async def command(self, *parts: Value) -> Any:
        """Run a command and return its answer; raises as `call` does."""
        return self._check(await self._send(pack(*parts)))

    @property
    def generation(self) -> object:
        """What stands for the connection that calls travel over now."""
        return self._connection

    @property
    def address(self) -> tuple[str, int] | None:
        """Where the connection leads to; None without one."""
        return None if self._connection is None else self._connection.address

    def leave(self) -> None:
        """Drop the connection, and refuse what was sent over it; the next call makes another."""
        if self._connection is not None:
            self._connection.abort()

    async def is_stuck(self) -> bool:
        """Tell whether this has failed for a minute and still fails, although Redis answers."""
        now = asyncio.get_running_loop().time()
        if self._failing_since is None or now - self._failing_since < STUCK_AFTER:
            return False
        try:
            await answers(self._pool)
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
                    told = self._check(await self._send(command))
                except Unsent as error:
                    # The question was not sent, but the script ran: it must not pass for unsent.
                    raise Unavailable(error.detail) from None
                counts = told if isinstance(told, list) else [told]
                enough = all(n >= need for n, need in zip(counts, least, strict=True))
                if self._connection is not connection or not enough:
                    raise Unavailable("it was written, and may not last: ask again")
        return answer

    def _check(self, answer: Any) -> Any:
        if isinstance(answer, ReplyError):
            if str(answer).startswith("READONLY"):
                # It was demoted; the next connection asks anew who the master is.
                self.leave()
            raise Refused(str(answer))
        return answer

    async def close(self) -> None:
        """Refuse what waits and what is called from now on, and close the connection.

        A connection that is just being made is waited for: the loop may end right after this.
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
        call = _Call(packed, self._patience)
        self._unsent.append(call)
        loop = asyncio.get_running_loop()
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
        connection = RedisConnection(self._take, self._lose)
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

    def _take(self, answer: Any) -> None:
        self._failing_since = None
        call = self._unanswered.popleft()
        if not call.answer.done():
            call.answer.set_result(answer)

    def _lose(self, connection: RedisConnection) -> None:
        if connection is not self._connection:
            return
        # What was not sent yet did not run, and is sent over the next connection.
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
        if oldest.deadline <= loop.time():
            self._give_up("the store did not answer in time")
        else:
            self._watching = loop.call_at(oldest.deadline, self._watch)

    def _give_up(self, why: str) -> None:
        # A connection with a late answer in it is never used again.
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
