"""A lane to Redis: scripts that are called at the same time share a round trip.

Calls are gathered while earlier ones are under way and then sent as one pipeline, so that a
thousand sockets which connect at once cost a few round trips. A lane has its own connections, a
bounded backlog, and one time limit; when Redis does not answer in time, everything that waits is
refused at once instead of each in its turn.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Sequence
from importlib import resources
from typing import Any, TypeAlias

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from hub.errors import Unavailable
from hub.store.base import TIME_LIMIT

Value: TypeAlias = str | bytes | int

FLIGHTS = 2
BATCH = 128
BACKLOG = 20_000


class Script:
    """A Lua script of this package: the files of these names, one after the other."""

    def __init__(self, *names: str) -> None:
        folder = resources.files("hub.store").joinpath("lua")
        self.text = "".join(folder.joinpath(f"{name}.lua").read_text() for name in names)
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class _Call:
    __slots__ = ("answer", "args", "keys", "script")

    def __init__(self, script: Script, keys: Sequence[Value], args: Sequence[Value]) -> None:
        # Encoded here, so that what is no text fails for its caller and not for the batch.
        self.script, self.keys, self.args = script, [*map(_encode, keys)], [*map(_encode, args)]
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def settle(self, answer: Any) -> None:
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


def _encode(value: Value) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


class Lane:
    """Calls scripts on Redis, several a round trip. ``redis`` belongs to the lane."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._backlog: deque[_Call] = deque()
        self._flights: set[asyncio.Task[None]] = set()

    async def call(self, script: Script, keys: Sequence[Value], args: Sequence[Value]) -> Any:
        """Run a script and return its answer.

        Raises:
            Unavailable: when Redis did not answer, or not in time, or refused the script; whether
                the script ran is then unknown.
        """
        if len(self._backlog) >= BACKLOG:
            raise Unavailable("too many requests wait for the store")
        call = _Call(script, keys, args)
        self._backlog.append(call)
        if len(self._flights) < FLIGHTS:
            self._depart()
        return await call.answer

    async def close(self) -> None:
        """Refuse what waits and close the connections."""
        for flight in self._flights:
            flight.cancel()
        await asyncio.gather(*self._flights, return_exceptions=True)
        self._refuse(Unavailable("the hub stops"))
        await self._redis.aclose()

    def _depart(self) -> None:
        flight = asyncio.create_task(self._fly())
        self._flights.add(flight)
        flight.add_done_callback(self._flights.discard)

    async def _fly(self) -> None:
        # One turn of the loop, so that calls made in the same turn travel together.
        await asyncio.sleep(0)
        while self._backlog:
            batch = [self._backlog.popleft() for _ in range(min(BATCH, len(self._backlog)))]
            try:
                async with asyncio.timeout(TIME_LIMIT):
                    answers = await self._execute(batch)
            except (RedisError, OSError, TimeoutError) as error:
                refusal = Unavailable(f"the store did not answer ({type(error).__name__})")
                self._refuse(refusal, batch)
            except BaseException as error:
                self._refuse(
                    Unavailable(f"the store was not asked ({type(error).__name__})"), batch
                )
                raise
            else:
                for call, answer in zip(batch, answers, strict=True):
                    call.settle(answer)

    async def _execute(self, batch: list[_Call]) -> list[Any]:
        answers = await self._send(batch, by_name=True)
        # A script that Redis does not know did not run, so that sending its text is no repetition.
        unknown = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            again = await self._send([batch[i] for i in unknown], by_name=False)
            for i, answer in zip(unknown, again, strict=True):
                answers[i] = answer
        return [
            Unavailable(f"the store refused ({answer})")
            if isinstance(answer, Exception)
            else answer
            for answer in answers
        ]

    async def _send(self, batch: list[_Call], *, by_name: bool) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for call in batch:
                run, script = (
                    (pipeline.evalsha, call.script.sha)
                    if by_name
                    else (pipeline.eval, call.script.text)
                )
                run(script, len(call.keys), *call.keys, *call.args)
            return await pipeline.execute(raise_on_error=False)

    def _refuse(self, refusal: Unavailable, batch: Sequence[_Call] = ()) -> None:
        waiting = [*batch, *self._backlog]
        self._backlog.clear()
        for call in waiting:
            call.settle(Unavailable(refusal.detail))
