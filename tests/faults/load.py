"""The load: people with devices that come and go, and the logouts that end their sessions."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any

import msgspec

from tests.faults.caller import Caller
from tests.faults.cluster import Cluster, Replica
from tests.faults.devices import (
    CAN_LOOK,
    MUTE,
    PROMPT,
    SLEEPY,
    UNREAD,
    Device,
    log_out_over,
    refresh_over,
)
from tests.faults.guards import Guard
from tests.faults.history import MICROSECOND, Attempt, History, Logout, Token
from tests.faults.orders import choose, own_body

DEVICES = 3
"""Devices of each person."""
MAX_AT_ONCE = 200
"""Logouts under way at once; more are not begun."""
LONGEST_LIFE = 25.0
"""Seconds that a socket stays; one that reads nothing is given up by the hub after 45."""
TWICE = 0.25
"""The part of the signals that reach two replicas at the same moment."""
LATE = 0.4
"""The part of the signals that come once more, seconds after they were answered."""
REPEATS = 25
"""How often a logout whose outcome is unknown is asked for again."""
GUARDED = 0.02
"""Seconds between two tokens that a guard is shown."""
LATELY_DEAD = 300
"""How many of the tokens that died last a guard may be shown."""
WHOLE_SECONDS = 0.2
"""The part of the logins whose issuer writes ``iat`` without a fraction."""
TELLING = 0.5
"""The part of the logins whose tokens tell when their login began."""
AGAIN = 0.5
"""The part of the logins after those that go on under the same session id."""

MANNERS = {PROMPT: 80, MUTE: 7, UNREAD: 6, SLEEPY: 7}


class Person:
    """Somebody with a few devices; ``tokens`` are those of the devices, as of now."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tokens: dict[int, Token] = {}
        self.devices: dict[int, Device] = {}

    def live(self) -> list[Device]:
        """Return the devices that are connected and were not notified."""
        return [device for device in self.devices.values() if device.is_live]


class Load:
    """Runs people and logouts against replicas until it is stopped."""

    def __init__(
        self, cluster: Cluster, history: History, caller: Caller, seed: int, people: int
    ) -> None:
        self._replicas = cluster.replicas
        self._guards = cluster.guards
        self._history = history
        self._caller = caller
        self._random = random.Random(f"load {seed}")  # noqa: S311 - a schedule, no secret
        self._people = [Person(f"user{number}") for number in range(people)]
        self._sids = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._dead: deque[Token] = deque(maxlen=2000)
        self._stopping = False
        self.done = 0

    async def run(self, rate: float, until: asyncio.Event) -> None:
        """Let people live and log out ``rate`` times a second until the event; then come to rest.

        Devices that are connected at the end stay so, for the checker to see what becomes of them.
        """
        for person in self._people:
            for number in range(DEVICES):
                self._spawn(self._live(person, number))
        self._spawn(self._remember_the_dead())
        for replica in self._replicas:
            self._spawn(self._ask_ready(replica))
        for guard in self._guards:
            self._spawn(self._show(guard))
        while not until.is_set():
            if len(self._tasks) < MAX_AT_ONCE + len(self._people) * DEVICES:
                self._spawn(self._log_out())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(until.wait(), self._random.expovariate(rate))

    async def stop(self) -> None:
        """End everything; sockets that are open are hung up."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for person in self._people:
            for device in person.devices.values():
                device.leave()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error  # a fault of the harness; the loop's handler shows it

    def _replica(self) -> Replica:
        return self._random.choice(self._replicas)

    def _new_token(self, user: str, sid: str | None = None) -> Token:
        """Return the token of a login: a new one, or one in the session ``sid`` of a provider."""
        if sid is None:
            self._sids += 1
            sid = f"{user}-{self._sids}"
        at = self._now()
        return Token(user, sid, at, at if self._random.random() < TELLING else None)

    def _refreshed(self, token: Token) -> Token:
        return msgspec.structs.replace(token, iat=max(self._now(), token.begun))

    def _now(self) -> float:
        now = round(time.time(), 6)
        return float(int(now)) if self._random.random() < WHOLE_SECONDS else now

    async def _live(self, person: Person, number: int) -> None:
        """One device: log in, connect, do this and that until the socket ends, and again."""
        await asyncio.sleep(self._random.random())
        while True:
            # Who logs in again may do so within the provider's session, where tokens tell.
            last = person.tokens.get(number)
            again = last is not None and last.login is not None and self._random.random() < AGAIN
            sid = last.sid if last is not None and again else None
            token = person.tokens[number] = self._new_token(person.name, sid)
            while await self._connected(person, number, token):
                token = person.tokens[number]
            self._dead.append(token)
            await self._caller.check(self._replica(), "verify", token)
            await asyncio.sleep(self._random.uniform(0.05, 1.0))

    async def _connected(self, person: Person, number: int, token: Token) -> bool:
        """Run one connection; return whether to connect again with this session."""
        manner = self._random.choices([*MANNERS], [*MANNERS.values()])[0]
        if manner == UNREAD and not CAN_LOOK:
            manner = MUTE
        device = Device(self._history, number, token, manner, self._replica())
        person.devices[number] = device
        result = await device.connect()
        if result in ("lost", "unavailable"):
            await asyncio.sleep(self._random.uniform(0.1, 0.5))
            return True
        if result != "accepted":
            return False
        await self._while_connected(person, number, device)
        assert device.record is not None
        if device.record.notices:
            return self._random.random() < 0.1  # some try a dead token again
        return True

    async def _while_connected(self, person: Person, number: int, device: Device) -> None:
        left = min(LONGEST_LIFE, self._random.expovariate(1 / 12.0))
        while not device.done.is_set():
            pause = min(left, self._random.expovariate(0.5))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(device.done.wait(), pause)
                return
            left -= pause
            if left <= 0:
                device.leave()  # a phone in a tunnel; it comes back with the same token
                await asyncio.sleep(self._random.uniform(0.0, 1.5))
                return
            await self._do_something(person, number, device)

    async def _do_something(self, person: Person, number: int, device: Device) -> None:
        token = person.tokens[number]
        match self._random.randrange(10):
            case 0 | 1:
                if device.is_live and device.manner != UNREAD:
                    fresh = self._refreshed(token)
                    if fresh.iat > token.iat and (
                        (await refresh_over(self._history, device, fresh)).result == "accepted"
                    ):
                        person.tokens[number] = fresh
            case 2 if device.manner == SLEEPY:
                device.sleep()
                await asyncio.sleep(self._random.uniform(0.5, 5.0))
                device.wake()
            case 3 | 4 | 5:
                await self._caller.check(self._replica(), "session", token)
            case _:
                await self._caller.check(self._replica(), "verify", token)

    async def _remember_the_dead(self) -> None:
        """Show old tokens again, everywhere."""
        while True:
            await asyncio.sleep(0.1)
            if self._dead:
                await self._probe(self._random.choice(self._dead), self._replica())

    async def _ask_ready(self, replica: Replica) -> None:
        while True:
            await self._caller.ready(replica)
            await asyncio.sleep(0.4)

    async def _show(self, guard: Guard) -> None:
        """Show a guard tokens that were dead already or still live, and sessions of such."""
        while True:
            await asyncio.sleep(GUARDED)
            live = [token for person in self._people for token in person.tokens.values()]
            dead = list(self._dead)[-LATELY_DEAD:] if self._random.random() < 0.5 else []
            if tokens := dead or live:
                token = self._random.choice(tokens)
                # Who keeps sessions of its own knows when each began.
                as_session = token.login is not None and self._random.random() < 0.5
                guard.show(self._history, token, as_session=as_session)

    async def _probe(self, token: Token, replica: Replica) -> None:
        """Show a token that is probably dead, in one of the three ways."""
        kind = self._random.choices(["verify", "session", "connect"], [5, 2, 3])[0]
        if kind != "connect":
            await self._caller.check(replica, kind, token)
            return
        device = Device(self._history, -1, token, PROMPT, replica)
        await device.connect()
        # Where it was accepted, being told soon is part of the story.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(device.done.wait(), 0.5)
        device.leave()

    async def _log_out(self) -> None:
        person, *others = self._random.sample(self._people, 3)
        live = person.live()
        device = self._random.choice(live) if live else None
        before = list(person.tokens.values())
        logout = choose(
            self._random,
            person.name,
            [other.name for other in others],
            [token.sid for token in before],
            device.check.token.sid if device is not None else None,
            time.time(),
        )
        if logout is None:
            return
        self._history.logouts.append(logout)
        await self._carry_out(logout, device)
        self.done += logout.answer is not None
        answer = logout.answer
        if answer is not None:
            self._dead.extend(token for token in before if not logout.spares(token.sid))
            await self._look_behind(logout, before, answer)
        if logout.is_signal and not self._stopping and self._random.random() < LATE:
            await self._send_again(logout)

    async def _carry_out(self, logout: Logout, device: Device | None) -> None:
        """Ask for a logout until its outcome is known; then, sometimes, once more."""
        for turn in range(REPEATS):
            attempt = await self._ask(logout, device, is_first=turn == 0)
            if attempt.outcome in ("ok", "refused") or (self._stopping and turn > 2):
                break
            await asyncio.sleep(self._random.uniform(0.1, 0.6))
        if logout.answer is not None and (turn > 0 or self._random.random() < 0.1):
            await self._ask(logout, device)

    async def _ask(
        self, logout: Logout, device: Device | None, *, is_first: bool = False
    ) -> Attempt:
        if logout.is_signal:
            return await self._send(logout, twice=is_first and self._random.random() < TWICE)
        if is_first and device is not None and logout.how.startswith("socket"):
            return await log_out_over(logout, device, own_body(logout))
        token = None if device is None else device.check.token
        return await self._caller.log_out(self._replica(), logout, token)

    async def _send(self, signal: Logout, *, twice: bool) -> Attempt:
        """Send a signal to a replica, or to two at once; return an attempt that was answered."""
        chosen = self._random.sample(self._replicas, 2 if twice else 1)
        attempts = await asyncio.gather(*(self._caller.send(one, signal) for one in chosen))
        return min(attempts, key=lambda attempt: attempt.outcome != "ok")

    async def _send_again(self, signal: Logout) -> None:
        """Send a signal once more some seconds later, and show a login that has begun since."""
        assert signal.users is not None
        await asyncio.sleep(self._random.uniform(0.5, 4.0))
        (user,), begun = signal.users, round(time.time(), 6)
        self._sids += 1
        newer = Token(user, signal.sid or f"{user}-{self._sids}-newer", begun, begun)
        await self._caller.send(self._replica(), signal)
        await self._caller.check(self._replica(), "verify", newer)

    async def _look_behind(self, logout: Logout, before: list[Token], answer: Attempt) -> None:
        """Show the tokens that a logout ended at once, and two that were issued in its instant."""
        work: list[Coroutine[Any, Any, object]] = [
            self._probe(token, self._replica()) for token in before
        ]
        # A refresh does not make a login younger.
        work += [
            self._probe(self._refreshed(token), self._replica())
            for token in before
            if token.login is not None
        ]
        twins = self._twins(logout, answer)
        work += [self._caller.check(self._replica(), "verify", token) for token in twins]
        await asyncio.gather(*work)

    def _twins(self, logout: Logout, answer: Attempt) -> list[Token]:
        """Return a token of the last instant that a logout ends, and one of the next."""
        at = answer.at if logout.happened is None else logout.reaches
        if at is None or logout.users is None or not logout.is_of_one or at > time.time():
            return []
        (user,) = logout.users
        twins = []
        for offset in (0.0, MICROSECOND):
            self._sids += 1
            begun = round(at + offset, 6)
            sid = f"{user}-{self._sids}-twin-{offset:.6f}"
            if logout.scope != "session":
                twins.append(Token(user, sid, begun))
            elif logout.happened is not None and logout.sid is not None:
                twins.append(Token(user, logout.sid, begun, begun))
        if logout.happened is not None and logout.happened < at:
            # Of the very second that is stated: it may mean the end of that.
            sid = logout.sid or f"{user}-{self._sids}-twin-whole"
            twins.append(Token(user, sid, logout.happened, logout.happened))
        return twins
