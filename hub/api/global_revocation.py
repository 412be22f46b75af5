"""``POST /global-token-revocation``: an issuer or administrator ends all sessions of a user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from hub.access.requests import AdminLogoutRequest, admin_logouts, unresolved
from hub.api.answers import NoContent
from hub.api.body import read_body
from hub.api.credentials import (
    idempotency_key,
    is_on_admin_listener,
    read_ip,
    read_token,
    require_admin,
)
from hub.api.services import SERVICES
from hub.core.global_revocation import (
    ASSERTION_TYPE,
    make_signal,
    read_revocation_request,
)
from hub.core.issuers import Entry, find_entry
from hub.core.model import Reason, split_user_key
from hub.core.refusal import SignalRefused
from hub.core.rights import Right
from hub.core.signal import Channel, Target
from hub.core.subjects import read_subject, resolve_for, resolve_sub_id
from hub.core.tokens import open_header
from hub.errors import Forbidden, NotFound, SubjectUnresolved, TokenInvalid, Unavailable

MAX_BODY = 64 * 1024


class RevocationRequest(msgspec.Struct, frozen=True):
    """The body of a request, for the OpenAPI document. Other members are ignored."""

    sub_id: dict[str, Any]


async def post_global_revocation(request: web.Request) -> NoContent:
    """End all sessions of the user that the subject names."""
    token = read_token(request)
    if _is_assertion(token):
        await _revoke_for_issuer(request, token)
    else:
        await _revoke_for_administrator(request)
    return NoContent()


def _is_assertion(token: str) -> bool:
    try:
        kind = open_header(token).get("typ")
    except TokenInvalid:
        return False
    return isinstance(kind, str) and kind.lower().removeprefix("application/") == ASSERTION_TYPE


async def _revoke_for_issuer(request: web.Request, token: str) -> None:
    services = request.app[SERVICES]
    try:
        sender, assertion = await services.issuers.verify_assertion(token, services.signals.now)
    except SignalRefused as error:
        services.signals.refuse(Channel.GLOBAL, error, None)
        if error.retryable:
            raise
        # To the caller, these are bad credentials, and they count as such.
        raise TokenInvalid(error.detail) from None
    value = read_revocation_request(await read_body(request, MAX_BODY))
    entry = _find_users(services.issuers.entries, sender, assertion.iss)
    formats = sender.revocation.subjects or None
    target = resolve_for(read_subject(value), entry, formats=formats, own=(assertion.iss,))
    if target is None:
        await services.signals.take(None, Channel.GLOBAL, assertion.iss)
    target = _require_user(target, value)
    signal = make_signal(assertion, target, sender.title)
    is_known = await services.signals.take(signal, Channel.GLOBAL, assertion.iss)
    _check_known(entry, is_known=is_known)


def _find_users(entries: Sequence[Entry], sender: Entry, iss: str) -> Entry:
    """Return the entry whose users the subjects of an issuer are.

    Raises:
        Unavailable: when it names those of another entry, which was removed from the settings.
    """
    entry = find_entry(entries, sender.revocation.users or iss)
    if entry is None and sender.revocation.users is not None:
        raise Unavailable("the issuer's users are not configured any more")
    return entry or sender


async def _revoke_for_administrator(request: web.Request) -> None:
    administrator = await require_admin(request, Right.LOGOUT)
    if not is_on_admin_listener(request):
        raise Forbidden("administrators have a listener of their own")
    services = request.app[SERVICES]
    key = idempotency_key(request)
    value = read_revocation_request(await read_body(request, MAX_BODY))
    target = _require_user(resolve_sub_id(value, services.issuers.entries), value)
    _, name = split_user_key(target.user or "")
    asked = AdminLogoutRequest(reason=Reason.ADMIN, user=name)
    (command,) = admin_logouts(asked, target.iss, key)
    receipt = await services.logouts.write(command, administrator.name, read_ip(request))
    entry = find_entry(services.issuers.entries, target.iss)
    if entry is not None:
        _check_known(entry, is_known=bool(receipt.sessions))


def _require_user(target: Target | None, value: Any) -> Target:
    """Return a target that means all sessions of a user.

    Raises:
        InvalidRequest: when it is anything else: a 204 promises that all sessions were ended.
    """
    if target is None:
        raise unresolved(value)
    if target.user is None or target.sid is not None:
        raise SubjectUnresolved("it names a session, and this call ends all of a user's")
    return target


def _check_known(entry: Entry, *, is_known: bool) -> None:
    """Check that the user had a session, if the settings require it.

    Raises:
        NotFound: when there was none. The logout is stored nevertheless.
    """
    if entry.revocation.requires_user and not is_known:
        raise NotFound("no session is known of this user")
