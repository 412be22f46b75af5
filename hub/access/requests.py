"""Requests over HTTP or a socket: validates them, and turns them into commands for the store."""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from hub.core.model import (
    Identity,
    Logout,
    Message,
    Reason,
    Scope,
    Sid,
    UserKey,
    split_user_key,
    user_key,
)
from hub.core.signal import Target
from hub.core.strict_json import Repeated, find_repeated
from hub.core.subjects import read_subject
from hub.errors import InvalidRequest, SubjectUnresolved
from hub.store.values import Claim, Command

Key = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Request = TypeVar("Request")

MAX_USERS = 10_000
MAX_DETAIL = 200
MAX_SPREAD = 3600


class LogoutRequest(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """A user's own logout. ``sid`` alone means scope ``session``.

    A scope or session that is null is refused, so that a client that means one session does not end
    all of them.
    """

    scope: Scope | UnsetType = UNSET
    sid: Sid | UnsetType = UNSET
    reason: Reason = Reason.USER
    message: Message | None = None
    idempotency_key: Key | None = None


class AdminLogoutRequest(msgspec.Struct, forbid_unknown_fields=True):
    """An administrator's logout of one user, of several, or of everyone.

    ``sub_id`` names one user, or one session of theirs, as RFC 9493 has it; `name_user` puts
    ``user`` in its place.
    """

    reason: Reason
    user: Name | None = None
    users: Annotated[list[Name], msgspec.Meta(min_length=1, max_length=MAX_USERS)] | None = None
    everyone: bool = False
    iss: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    sid: Sid | UnsetType = UNSET
    scope: Scope | UnsetType = UNSET
    message: Message | None = None
    spread_seconds: Annotated[int, msgspec.Meta(ge=0, le=MAX_SPREAD)] = 0
    sub_id: dict[str, Any] | UnsetType | None = UNSET


def read_request(kind: type[Request], body: bytes) -> Request:
    """Return the request in a JSON body; an empty body is an empty object.

    Raises:
        InvalidRequest: if it is not valid; names the member.
    """
    if not body:
        return _decode(kind, b"{}")
    request = _decode(kind, body)
    try:
        repeated = find_repeated(body)
    except (RecursionError, ValueError) as error:
        raise InvalidRequest(_shorten(str(error))) from None
    if repeated is not None:
        raise InvalidRequest(_shorten(f"the member {repeated} is repeated"))
    return request


def _decode(kind: type[Request], body: bytes) -> Request:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise InvalidRequest(_shorten(str(error))) from None


def convert_request(kind: type[Request], value: Any) -> Request:
    """Return the request in a value that `hub.core.strict_json` has decoded.

    Raises:
        InvalidRequest: if it is not valid; names the member.
    """
    try:
        body = msgspec.json.encode(value, enc_hook=_refuse_repeated)
    except (UnicodeEncodeError, RecursionError) as error:
        raise InvalidRequest(_shorten(str(error))) from None
    return _decode(kind, body)


def _refuse_repeated(value: Any) -> Any:
    name = value.name if isinstance(value, Repeated) else "?"
    raise InvalidRequest(_shorten(f"the member {name} is repeated"))


def _own_key(whose: str, key: str | None) -> str | None:
    # A user must not be able to use an administrator's key, or read its receipt.
    return None if key is None else f"{whose}:{key}"


def _shorten(detail: str) -> str:
    # The error may quote the request, so limit its length.
    return detail if len(detail) <= MAX_DETAIL else detail[: MAX_DETAIL - 1] + "…"


def new_id() -> str:
    """Return a new id for a logout; it must not be guessable, since it gives access to receipts."""
    return secrets.token_urlsafe(18)


def _which(request: LogoutRequest | AdminLogoutRequest) -> tuple[str | None, Scope]:
    """Return the session, if one is named, and the scope; ``sid`` alone means scope session."""
    sid = None if isinstance(request.sid, UnsetType) else request.sid
    if not isinstance(request.scope, UnsetType):
        return sid, request.scope
    return sid, Scope.SESSION if sid is not None else Scope.ALL


def own_logout(caller: Identity, request: LogoutRequest, key: str | None = None) -> Command:
    """Return the command for a user's own logout.

    Raises:
        InvalidRequest: if scope, session and key do not match.
    """
    if key is not None and request.idempotency_key not in (None, key):
        raise InvalidRequest("Idempotency-Key and idempotencyKey differ")
    sid, scope = _which(request)
    target = sid or caller.sid
    if sid is not None and scope is not Scope.SESSION:
        raise InvalidRequest("sid goes with scope session")
    return Command(
        logout=Logout(
            id=new_id(),
            user=caller.user,
            scope=scope,
            reason=request.reason,
            sid=None if scope is Scope.ALL else target,
            message=request.message,
        ),
        also=None if scope is Scope.OTHERS else target,
        must_exist=scope is Scope.SESSION and target != caller.sid,
        key=_own_key("own", key or request.idempotency_key),
    )


def admin_logouts(request: AdminLogoutRequest, iss: str, key: str | None = None) -> list[Command]:
    """Return the commands for an administrator's logout: one for each user, all with the same id.

    ``iss`` is the issuer of the users.

    Raises:
        InvalidRequest: if the users, sessions and scope are missing or do not match.
    """
    check_named(request)
    if _has_sub_id(request):
        raise InvalidRequest("sub_id was not resolved")
    names = [request.user] if request.user is not None else request.users
    sid, scope = _which(request)
    if sid is not None and request.user is None:
        raise InvalidRequest("sid goes with user")
    if (scope is Scope.ALL) != (sid is None):
        raise InvalidRequest("scopes session and others go with sid, scope all goes without")
    if request.everyone and request.iss is not None:
        raise InvalidRequest("everyone goes without iss: it ends the sessions of every issuer")
    users: list[UserKey | None] = [user_key(iss, name) for name in dict.fromkeys(names or [])]
    shared = new_id()
    return [
        Command(
            logout=Logout(
                id=shared,
                user=user,
                scope=scope,
                reason=request.reason,
                sid=sid,
                message=request.message,
                spread=request.spread_seconds,
            ),
            also=sid if scope is Scope.SESSION else None,
            key=_own_key("admin", key),
        )
        for user in (users or [None])
    ]


def check_named(request: AdminLogoutRequest) -> None:
    """Check that a logout names its users in exactly one way.

    Raises:
        InvalidRequest: if it does not.
    """
    ways = (
        request.user is not None,
        request.users is not None,
        request.everyone,
        _has_sub_id(request),
    )
    if sum(ways) != 1:
        raise InvalidRequest("name one of user, sub_id, users, or everyone: true")


def _has_sub_id(request: AdminLogoutRequest) -> bool:
    return not isinstance(request.sub_id, UnsetType) and request.sub_id is not None


def name_user(request: AdminLogoutRequest, target: Target) -> AdminLogoutRequest:
    """Return a logout with the user, and the session if there is one, that its ``sub_id`` means.

    Raises:
        SubjectUnresolved: if it means no user.
        InvalidRequest: if the session is named in two ways.
    """
    if target.user is None:
        raise SubjectUnresolved("sub_id names a session, and not whose it is")
    if target.sid is not None and not isinstance(request.sid, UnsetType):
        raise InvalidRequest("sid: the session is named by sub_id already")
    return msgspec.structs.replace(
        request,
        sub_id=UNSET,
        user=split_user_key(target.user)[1],
        iss=target.iss,
        sid=request.sid if target.sid is None else target.sid,
    )


def unresolved(value: Any) -> InvalidRequest:
    """Return why a subject that was read names nobody."""
    subject = read_subject(value)
    identifiers = (*subject.user, *subject.session)
    if identifiers and all(one.id is None for one in identifiers):
        return InvalidRequest(_shorten(f"the format {identifiers[0].format} is not supported"))
    return SubjectUnresolved("the subject names no user of this hub's issuers")


def admin_claim(request: AdminLogoutRequest, key: str | None) -> Claim | None:
    """Return the claim of an administrator's idempotency key for a whole request, or None.

    The logouts of the request have keys too, but one for each user, which cannot detect that the
    same key is used again with another list of users.
    """
    if key is None:
        return None
    digest = hashlib.sha256(msgspec.json.encode(request)).hexdigest()
    return Claim(f"admin:{key}", digest, new_id())
