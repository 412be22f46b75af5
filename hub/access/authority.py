"""A token in, the caller or an error out: verification, the store's facts and the one rule."""

from __future__ import annotations

import msgspec

from hub.access.client import Client
from hub.access.keys import Keys
from hub.core.device import describe_user_agent, tidy_name
from hub.core.model import Identity, Micros, Session, Standing, UserKey
from hub.core.revocation import judge, living
from hub.core.tokens import Rules, read_header, verify
from hub.errors import Unauthorized
from hub.store.base import Presence, Store, Visit

ADMIN_SCOPE = "hub:admin"


class Caller(msgspec.Struct, frozen=True):
    """Who is calling, with a token that was alive at ``standing.now`` and expires at ``until``."""

    identity: Identity
    standing: Standing
    until: Micros

    @property
    def is_admin(self) -> bool:
        """Whether the token's scope allows admin calls."""
        return ADMIN_SCOPE in self.identity.scopes


class Authority:
    """Says who a token speaks for. ``leeway`` is as in `judge`."""

    def __init__(self, store: Store, keys: Keys, rules: Rules, leeway: Micros) -> None:
        self._store = store
        self._keys = keys
        self._rules = rules
        self._leeway = leeway

    async def identify(self, token: str) -> Identity:
        """Return who signed for this token; whether it is still alive is not asked.

        Raises:
            TokenInvalid: when it is malformed or forged.
            Unavailable: when the keys cannot be had.
        """
        header = read_header(token, self._rules)
        return verify(token, await self._keys.find(header), self._rules)

    async def admit(self, token: str) -> Caller:
        """Return the caller with this token, once it is known to be alive.

        Raises:
            Unauthorized: when the token is invalid, expired or revoked.
            Unavailable: when that cannot be known now.
        """
        identity = await self.identify(token)
        return self._admit(identity, await self._store.look(identity))

    async def register(
        self, identity: Identity, client: Client, presence: Presence | None = None
    ) -> Caller:
        """Enter the identity's session in the registry, and admit it as `admit` does."""
        name = tidy_name(client.name)
        visit = Visit(
            identity=msgspec.structs.replace(identity, exp=identity.exp + self._leeway),
            device=name or describe_user_agent(client.user_agent),
            ip=client.ip,
            presence=presence,
            named=bool(name),
        )
        return self._admit(identity, await self._store.register(visit))

    async def doubt(self, identity: Identity) -> Unauthorized | None:
        """Return why a session that was alive is no longer, or None when it still is."""
        return judge(identity, await self._store.look(identity), self._leeway)

    async def sessions(self, user: UserKey) -> list[Session]:
        """Return a user's living sessions, oldest first."""
        registry = await self._store.sessions(user)
        return living(user, list(registry.sessions), registry.standing)

    def _admit(self, identity: Identity, standing: Standing) -> Caller:
        refusal = judge(identity, standing, self._leeway)
        if refusal is not None:
            raise refusal
        return Caller(identity=identity, standing=standing, until=identity.exp + self._leeway)
