"""Two replicas on one Redis, and the embedded store as their model, through any history.

Hypothesis makes up histories of logins, checks and logouts. Each step is done by one of two
replicas, and by the model; whatever the one says of a token, a session or a receipt, the other
must say, and so must the log, read from its beginning, of a session that is not registered. At the
end both replicas must have heard every logout, once.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, precondition, rule

from hub.core.model import (
    SECOND,
    Identity,
    Logout,
    Reason,
    Receipt,
    Scope,
    user_key,
)
from hub.core.revocation import judge, living
from hub.errors import NotFound, RateLimited
from hub.store import reader as reader_module
from hub.store.base import Store
from hub.store.memory import MemoryStore
from hub.store.names import PARTITIONS
from hub.store.redis import RedisStore
from hub.store.values import Command, KeyReused, LogoutEvent, Registration
from tests.contract.listener import Listener
from tests.contract.replay import read_log, recall_state

LIFETIME = 3600 * SECOND
USERS = [user_key("", name) for name in ("ada", "eve")]
SIDS = ["s1", "s2", "t1", "t2"]
PER_TOKEN = ["t1", "t2"]
AGES = [-SECOND // 2, 0, SECOND, 30 * SECOND, 3000 * SECOND]
REFRESHED = [0, SECOND, 100 * SECOND]
"""After how long a token was got by a refresh."""

users, sids, replicas = st.sampled_from(USERS), st.sampled_from(SIDS), st.sampled_from([0, 1])
scopes = st.sampled_from(list(Scope))
keys = st.sampled_from([None, None, "k1", "k2"])
reported = st.sampled_from([None, None, 0, 31 * SECOND])
"""How long before a logout that happened which it reports; between any two of `AGES`."""


def make_token(user: str, sid: str, age: int, tells: bool) -> Identity:
    """Return a token of this age; if it ``tells``, the login began when it was issued."""
    iat = time.time_ns() // 1000 - age
    return Identity(
        user=user,
        sub="",
        iss="",
        sid=sid,
        iat=iat,
        exp=iat + LIFETIME,
        login_at=iat if tells else None,
        per_token=sid in PER_TOKEN,
    )


class Replicas(RuleBasedStateMachine):
    """The machine; `url` is set by the test."""

    url = ""
    tokens = Bundle("tokens")

    @initialize()
    def begin(self) -> None:
        """Start two replicas and the model, all empty."""
        self.loop = asyncio.new_event_loop()
        self.stores = [RedisStore(self.url, lifetime=LIFETIME, max_sessions=3) for _ in range(2)]
        self.model = MemoryStore(lifetime=LIFETIME, max_sessions=3)
        self.listeners = [Listener(), Listener()]
        self.numbers = itertools.count()
        self.written: list[tuple[str, str | None]] = []
        self.followers: list[asyncio.Task[None]] = []
        self.loop.run_until_complete(self._begin())

    async def _begin(self) -> None:
        await self.stores[0]._checks.command("FLUSHALL")
        for store, listener in zip(self.stores, self.listeners, strict=True):
            self.followers.append(asyncio.create_task(listener.listen_on(store)))
            await listener.confirmed()

    def teardown(self) -> None:
        """Both replicas have received every logout once; then everything is closed."""
        if not hasattr(self, "loop"):
            return
        try:
            self.loop.run_until_complete(self._end())
        finally:
            self.loop.close()

    async def _end(self) -> None:
        try:
            for user in USERS:
                made = itertools.product([user], SIDS, AGES, [True, False])
                await self._compare_log([make_token(*one) for one in made])
            for listener in self.listeners:
                await listener.confirmed()
                await listener.confirmed()
                for whom in (*USERS, None):
                    heard = [
                        one.logout.id
                        for one in listener.heard
                        if one.logout.user == whom and one.issuer is None
                    ]
                    written = [name for name, whose in self.written if whose == whom]
                    # Everyone's comes once for each part of the users.
                    assert (heard if whom else sorted(set(heard))) == (
                        written if whom else sorted(written)
                    )
                for number in range(PARTITIONS):
                    # Whatever came, and in whichever way, is what the log has.
                    logged, _ = await read_log(self.stores[0], number)
                    heard_there = [one for one in listener.heard if one.partition == number]
                    assert list(map(_facts, heard_there)) == list(map(_facts, logged))
        finally:
            for task in self.followers:
                task.cancel()
            await asyncio.gather(*self.followers, return_exceptions=True)
            for store in self.stores:
                await store.__aexit__(None, None, None)

    def _both(self, replica: int, method: str, *args: object) -> tuple[Any, Any]:
        """Return what a replica and the model answer, errors included."""

        async def ask(store: Store) -> object:
            try:
                return await getattr(store, method)(*args)
            except (NotFound, RateLimited, KeyReused) as error:
                return type(error)

        async def ask_both() -> tuple[Any, Any]:
            return await ask(self.stores[replica]), await ask(self.model)

        return self.loop.run_until_complete(ask_both())

    # ---- What happens ----

    @rule(
        target=tokens,
        user=users,
        sid=sids,
        age=st.sampled_from(AGES),
        whole=st.booleans(),
        tells=st.booleans(),
    )
    def issue(self, user: str, sid: str, age: int, whole: bool, tells: bool) -> Identity:
        """A person logs in, perhaps some time ago, perhaps with whole-second times.

        Some issuers tell when the login began. Sessions without a name are per token.
        """
        token = make_token(user, sid, age, tells)
        iat = token.iat // SECOND * SECOND if whole else token.iat
        login_at = iat if tells else None
        return msgspec.structs.replace(token, iat=iat, exp=iat + LIFETIME, login_at=login_at)

    @rule(target=tokens, token=tokens, after=st.sampled_from(REFRESHED))
    def refresh(self, token: Identity, after: int) -> Identity:
        """A login gets another token, which is of the same login."""
        iat = min(token.iat + after, max(token.iat, time.time_ns() // 1000))
        return msgspec.structs.replace(token, iat=iat, exp=iat + LIFETIME)

    @rule(replica=replicas, token=tokens, old=st.sampled_from([None, *PER_TOKEN]))
    def registration(self, replica: int, token: Identity, old: str | None) -> None:
        """A session shows itself, perhaps as the next of a device whose tokens name no login."""
        registration = Registration(token, "device", "", replaces=old if token.per_token else None)
        self._compare(token, *self._both(replica, "register", registration))

    @rule(replica=replicas, token=tokens)
    def look(self, replica: int, token: Identity) -> None:
        """Somebody asks whether a token is alive, and somebody else goes by the log."""
        self._compare(token, *self._both(replica, "look", token))
        self.loop.run_until_complete(self._compare_log([token]))

    async def _compare_log(self, tokens: list[Identity]) -> None:
        """Compare what the log of each store says of a user's tokens with what the store says."""
        stores: list[Store] = [self.stores[0], self.model]
        for store in stores:
            logged, _ = await read_log(store, store.partition_of(tokens[0].user))
            states = await asyncio.gather(*map(store.look, tokens))
            for token, state in zip(tokens, states, strict=True):
                recalled = recall_state(logged, token, state.now)
                unregistered = msgspec.structs.replace(state, session=None)
                verdicts = [judge(token, one) for one in (unregistered, recalled)]
                assert type(verdicts[0]) is type(verdicts[1])
                causes = [one.logout.horizon if one and one.logout else None for one in verdicts]
                assert causes[0] == causes[1]

    def _compare(self, token: Identity, real: Any, model: Any) -> None:
        if isinstance(real, type) or isinstance(model, type):
            assert real is model
            return
        verdicts = [judge(token, state) for state in (real, model)]
        assert type(verdicts[0]) is type(verdicts[1])
        causes = [verdict.logout.id if verdict and verdict.logout else None for verdict in verdicts]
        assert causes[0] == causes[1]

    @rule(replica=replicas, user=users)
    def list_sessions(self, replica: int, user: str) -> None:
        """A person looks at where they are logged in."""
        real, model = self._both(replica, "sessions", user)
        shown = [
            {
                (session.sid, session.per_token)
                for session in living(user, list(found.sessions), found.state)
            }
            for found in (real, model)
        ]
        assert shown[0] == shown[1]

    @rule(
        replica=replicas,
        user=users,
        scope=scopes,
        sid=sids,
        key=keys,
        must=st.booleans(),
        since=reported,
    )
    def log_out(
        self,
        replica: int,
        user: str,
        scope: Scope,
        sid: str,
        key: str | None,
        must: bool,
        since: int | None,
    ) -> None:
        """A user's sessions are ended, perhaps because of something that happened before."""
        kept = None if scope is Scope.ALL else sid
        also = sid if scope is Scope.SESSION else None
        name = f"n{next(self.numbers)}"
        before = None if since is None else time.time_ns() // 1000 - since
        logout = Logout(name, user, scope, Reason.USER, sid=kept, before=before)
        command = Command(logout, also=also, must_exist=must and also is not None, key=key)
        self._end_both(replica, command)

    @rule(replica=replicas, sid=sids, since=st.sampled_from([0, 31 * SECOND]))
    def refuse_session(self, replica: int, sid: str, since: int) -> None:
        """A session is refused, and then ended for each of its users."""
        before = time.time_ns() // 1000 - since
        name = f"n{next(self.numbers)}"
        logout = Logout(name, None, Scope.SESSION, Reason.POLICY, sid=sid, before=before)
        real, model = self._both(replica, "refuse_session", "", logout)
        assert model == real
        for user in real:
            mine = msgspec.structs.replace(logout, id=f"n{next(self.numbers)}", user=user)
            self._end_both(replica, Command(mine, also=sid))

    @precondition(lambda self: len(self.written) % 4 == 3)
    @rule(replica=replicas)
    def log_everyone_out(self, replica: int) -> None:
        """All sessions of all users are ended."""
        name = f"all{next(self.numbers)}"
        self._end_both(replica, Command(Logout(name, None, Scope.ALL, Reason.POLICY)))

    def _end_both(self, replica: int, command: Command) -> None:
        real, model = self._both(replica, "end", command)
        if not isinstance(real, Receipt) or not isinstance(model, Receipt):
            assert real is model
            return
        assert real.logout.id == model.logout.id
        assert real.repeated == model.repeated
        ended = [{(one.sid, one.state) for one in receipt.sessions} for receipt in (real, model)]
        assert ended[0] == ended[1]
        if not real.repeated:
            self.written.append((real.logout.id, real.logout.user))
        receipts = self._both(1 - replica, "receipt", real.logout.id, command.logout.user)
        states = [
            ({(one.sid, one.state) for one in receipt.sessions}, receipt.complete)
            for receipt in receipts
        ]
        assert states[0] == states[1]


def _facts(event: LogoutEvent) -> LogoutEvent:
    """Return what is the same of an event from the channel and from the log."""
    return msgspec.structs.replace(event, concerns=bool, is_live=True)


def test_replicas_and_the_model_never_differ(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any history, whichever replica is asked."""
    monkeypatch.setattr(reader_module, "CHECK_INTERVAL", 0.05)
    Replicas.url = redis_url
    machine = settings(
        max_examples=40,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    Replicas.TestCase.settings = machine
    Replicas.TestCase("runTest").runTest()
