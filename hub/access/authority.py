"""Authenticates callers: verifies the token, and asks the store whether its session is alive."""

from __future__ import annotations

import hashlib

import msgspec

from hub.access.client import Client
from hub.access.device import describe_user_agent, tidy_name
from hub.access.issuers import Issuers
from hub.core.model import Identity, Micros, RevocationState, Session, UserKey
from hub.core.revocation import judge, living
from hub.errors import Unauthorized, Unavailable
from hub.store.base import Store
from hub.store.values import Presence, Registration

MAX_VERIFIED = 50_000
ADMIN_SCOPE = "hub:admin"


class Caller(msgspec.Struct, frozen=True):
    """An authenticated caller, whose token was alive at ``state.now`` and expires at ``until``."""

    identity: Identity
    state: RevocationState
    until: Micros

    @property
    def is_admin(self) -> bool:
        """Whether the token's scope allows admin calls."""
        return ADMIN_SCOPE in self.identity.scopes


class Authority:
    """Verifies tokens, and decides whether their sessions are alive.

    Verified tokens are cached, up to a limit, so that signatures are not checked again when many
    sockets reconnect at once. Whether a session is alive is never cached: the store is asked each
    time.
    """

    def __init__(self, store: Store, issuers: Issuers) -> None:
        self._store = store
        self._issuers = issuers
        self._verified: dict[bytes, Identity] = {}
        self._generation = issuers.generation

    async def identify(self, token: str) -> Identity:
        """Return whose token this is, without asking whether its session is alive.

        Raises:
            TokenInvalid: when it is malformed or forged.
            Unavailable: when the keys cannot be fetched.
        """
        digest = hashlib.sha256(token.encode(errors="surrogateescape")).digest()
        identity = self._recall(digest)
        if identity is None:
            before = self._generation
            identity = await self._issuers.verify(token)
            if before == self._issuers.generation:
                self._keep(digest, identity)
        return identity

    def _keep(self, digest: bytes, identity: Identity) -> None:
        self._verified[digest] = identity
        if len(self._verified) > MAX_VERIFIED:
            del self._verified[next(iter(self._verified))]

    def _recall(self, digest: bytes) -> Identity | None:
        if self._generation != (generation := self._issuers.generation):
            self._generation = generation
            self._verified.clear()
        return self._verified.get(digest)

    async def admit(self, token: str) -> Caller:
        """Return the caller with this token, whose session is alive.

        Raises:
            Unauthorized: when the token is invalid, expired or revoked.
            Unavailable: when the store cannot be asked.
        """
        identity = await self.identify(token)
        return self._admit(identity, await self._store.look(identity))

    async def register(
        self,
        identity: Identity,
        client: Client,
        presence: Presence | None = None,
        replaces: str | None = None,
    ) -> Caller:
        """Register the identity's session, and admit the caller as `admit` does.

        An identity whose issuer or key was withdrawn meanwhile is refused as `Unavailable`, so that
        the client tries again and is judged by the new settings.

        ``replaces`` is as in `Registration`.
        """
        name = tidy_name(client.name)
        registration = Registration(
            identity=msgspec.structs.replace(identity, exp=identity.valid_until),
            device=name or describe_user_agent(client.user_agent),
            ip=client.ip,
            presence=presence,
            named=bool(name),
            replaces=replaces,
        )
        state = await self._store.register(registration)
        if not self._issuers.accepts(identity.proof):
            raise Unavailable("the issuers were just replaced")
        return self._admit(identity, state)

    async def find_refusal(self, identity: Identity) -> Unauthorized | None:
        """Return why a session is refused by now, or None if it is alive."""
        return judge(identity, await self._store.look(identity))

    async def sessions(self, user: UserKey) -> list[Session]:
        """Return a user's sessions that are alive, oldest first."""
        registry = await self._store.sessions(user)
        return living(user, list(registry.sessions), registry.state)

    def _admit(self, identity: Identity, state: RevocationState) -> Caller:
        refusal = judge(identity, state)
        if refusal is not None:
            try:
                raise refusal
            finally:
                del refusal  # its traceback leads here, which would be a reference cycle
        return Caller(identity=identity, state=state, until=identity.valid_until)
