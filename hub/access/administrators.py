"""Who calls as an administrator: by a credential of the operator's, or by the scope of a JWT."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable

import msgspec

from hub.access.authority import Caller
from hub.core.rights import ADMIN, EVERY_RIGHT, Credential, Right

SUPPORT_SCOPE = "hub:support"
SUPPORT_RIGHTS = frozenset({Right.LOGOUT, Right.READ})
TOKEN_BYTES = 32


class Administrator(msgspec.Struct, frozen=True):
    """An administrator, as ``name`` stands in the log; ``one_user`` when only for one at a time."""

    name: str
    rights: frozenset[Right]
    one_user: bool = False

    def may(self, *rights: Right) -> bool:
        """Tell whether any of ``rights`` is there; asked for none, whether all that exist are."""
        return bool(self.rights & {*rights}) if rights else self.rights == EVERY_RIGHT


class Administrators:
    """The credentials that an operator named, and HUB_ADMIN_TOKEN, which may do everything."""

    def __init__(self, credentials: Iterable[Credential], admin_token: str | None) -> None:
        self._credentials = list(credentials)
        if admin_token is not None:
            digest = hashlib.sha256(admin_token.encode()).digest()
            self._credentials.append(Credential(ADMIN, digest, EVERY_RIGHT))

    def find(self, token: str) -> Administrator | None:
        """Return whose token this is, or None. How long it takes does not tell how near it was."""
        digest = hashlib.sha256(token.encode(errors="surrogateescape")).digest()
        found = None
        for credential in self._credentials:
            # All of them, so that time does not tell which one matched either.
            if hmac.compare_digest(credential.digest, digest):
                found = credential
        return Administrator(found.name, found.rights) if found is not None else None


def administrator_of(caller: Caller) -> Administrator | None:
    """Return what the scope of a living token makes of its caller, or None."""
    name = f"token:{caller.identity.user}"
    if caller.is_admin:
        return Administrator(name, EVERY_RIGHT)
    if SUPPORT_SCOPE in caller.identity.scopes:
        return Administrator(name, SUPPORT_RIGHTS, one_user=True)
    return None


def make_credential(name: str, rights: Iterable[Right]) -> tuple[str, str]:
    """Return a new token, and the text that names it in HUB_ADMIN_TOKENS."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    digest = hashlib.sha256(token.encode()).hexdigest()
    return token, f"{name}:{digest}:{'+'.join(rights)}"
