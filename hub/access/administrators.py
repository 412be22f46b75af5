"""Who is an administrator: the holder of a configured credential, or of a JWT with the scope."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

import msgspec

from hub.access.authority import Caller
from hub.core.rights import ADMIN, EVERY_RIGHT, GUARD, Credential, Right

SUPPORT_SCOPE = "hub:support"
SUPPORT_RIGHTS = frozenset({Right.LOGOUT, Right.READ})


class Administrator(msgspec.Struct, frozen=True):
    """An administrator; ``name`` is for the log, ``one_user`` limits each call to a single user."""

    name: str
    rights: frozenset[Right]
    one_user: bool = False

    def may(self, *rights: Right) -> bool:
        """Return whether it has any of ``rights``; without arguments, whether it has all rights."""
        return bool(self.rights & {*rights}) if rights else self.rights == EVERY_RIGHT


class Administrators:
    """The credentials of HUB_ADMIN_TOKENS, HUB_ADMIN_TOKEN, which has every right, and guards'.

    HUB_GUARD_TOKEN has the right to read the feed.
    """

    def __init__(
        self,
        credentials: Iterable[Credential],
        admin_token: str | None,
        guard_token: str | None = None,
    ) -> None:
        self._credentials = list(credentials)
        guard_rights = frozenset({Right.FEED})
        for name, token, rights in (
            (GUARD, guard_token, guard_rights),
            (ADMIN, admin_token, EVERY_RIGHT),
        ):
            if token is not None:
                digest = hashlib.sha256(token.encode()).digest()
                self._credentials.append(Credential(name, digest, rights))

    def find(self, token: str) -> Administrator | None:
        """Return whose token this is, or None, in constant time."""
        digest = hashlib.sha256(token.encode(errors="surrogateescape")).digest()
        found = None
        for credential in self._credentials:
            # No early exit: timing must not reveal which one matched either.
            if hmac.compare_digest(credential.digest, digest):
                found = credential
        return Administrator(found.name, found.rights) if found is not None else None


def administrator_of(caller: Caller) -> Administrator | None:
    """Return the administrator that the scope of a caller's token makes, or None."""
    name = f"token:{caller.identity.user}"
    if caller.is_admin:
        return Administrator(name, EVERY_RIGHT)
    if SUPPORT_SCOPE in caller.identity.scopes:
        return Administrator(name, SUPPORT_RIGHTS, one_user=True)
    return None
