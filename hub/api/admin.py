"""``/admin/…``: calls for administrators."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import msgspec
from aiohttp import web
from msgspec import UnsetType

from hub.access.parameters import read_wait
from hub.access.requests import (
    AdminLogoutRequest,
    admin_claim,
    admin_logouts,
    check_named,
    name_user,
    read_request,
    unresolved,
)
from hub.api.answers import Ok
from hub.api.body import read_body
from hub.api.credentials import idempotency_key, read_ip, require_admin
from hub.api.services import SERVICES, Services
from hub.api.views import (
    AdminManyReceiptView,
    AdminReceiptView,
    SessionsView,
    view_for_admin,
    view_session,
)
from hub.core.claims import is_name
from hub.core.model import Receipt, split_user_key, user_key
from hub.core.rights import Right
from hub.core.subjects import resolve_sub_id
from hub.errors import Forbidden, HubError, NotFound

MAX_NAMED = 10
"""The maximum number of users, or issuers, that a warning names."""

MAX_BODY = 4 * 1024 * 1024


async def post_logout(request: web.Request) -> Ok[AdminReceiptView | AdminManyReceiptView]:
    """End the sessions of one user, of several, or of everyone."""
    administrator = await require_admin(request, Right.LOGOUT)
    services = request.app[SERVICES]
    # A long list of users is only read once the caller is known to be an administrator.
    given = read_request(AdminLogoutRequest, await read_body(request, MAX_BODY))
    asked = _resolve(services, given)
    if administrator.one_user and asked.user is None:
        raise Forbidden("the scope hub:support is for one user at a time")
    key, wait = idempotency_key(request), read_wait(request.query.get("wait"))
    iss, warning = ("", None) if asked.everyone else services.issuers.resolve(asked.iss)
    commands = admin_logouts(asked, iss, key)
    receipts = await services.logouts.write_all(
        commands, admin_claim(given, key), administrator.name, read_ip(request)
    )
    # The newest logout represents all, as when the receipt is read later.
    newest = max(receipts, key=lambda receipt: receipt.logout.at)
    receipt = msgspec.structs.replace(
        newest,
        sessions=tuple(outcome for one in receipts for outcome in one.sessions),
        users=len(receipts),
    )
    if asked.user is None or wait:
        user = newest.logout.user if asked.user else None
        receipt = await services.logouts.read_again(receipt, user, wait)
    warnings = [warning] if warning else []
    warnings += await _find_mistakes(services, asked, iss, receipts)
    return Ok(view_for_admin(receipt, warnings, is_one=asked.user is not None))


def _resolve(services: Services, given: AdminLogoutRequest) -> AdminLogoutRequest:
    """Return a logout with the user that its ``sub_id`` names, if it has one.

    Raises:
        SubjectUnresolved: when it names no user of this hub.
        InvalidRequest: when it is not a subject, or its issuer is ambiguous.
    """
    check_named(given)
    if isinstance(given.sub_id, UnsetType) or given.sub_id is None:
        return given
    target = resolve_sub_id(given.sub_id, services.issuers.entries, given.iss)
    if target is None:
        raise unresolved(given.sub_id)
    return name_user(given, target)


async def _find_mistakes(
    services: Services, asked: AdminLogoutRequest, iss: str, receipts: Sequence[Receipt]
) -> list[str]:
    """Return warnings that the logout may have named the wrong users or issuer."""
    if asked.everyone:
        return []
    # A session without a device was ended by its id alone: the hub had never seen it.
    known = [any(outcome.device for outcome in receipt.sessions) for receipt in receipts]
    unknown = [_name(one) for one, is_known in zip(receipts, known, strict=True) if not is_known]
    if asked.user is None and any(known):
        named = ", ".join(unknown[:MAX_NAMED]) + (", …" if len(unknown) > MAX_NAMED else "")
        warning = f"no session is known for {len(unknown)} of {len(known)} users: {named}"
        return [warning] if unknown else []
    if not unknown:
        return []
    found = ["no session of this user is known; one that appears later will be refused"]
    if asked.user is not None:
        for other in services.issuers.others(iss)[:MAX_NAMED]:
            with contextlib.suppress(HubError):
                if count := len(await services.authority.sessions(user_key(other, asked.user))):
                    found.append(
                        f"{asked.user} still has sessions under the issuer {other}: {count}"
                    )
    return found


def _name(receipt: Receipt) -> str:
    return split_user_key(receipt.logout.user or "")[1]


async def get_sessions(request: web.Request) -> Ok[SessionsView]:
    """Return any user's sessions; ``?iss=`` names the issuer, if it is not the only one."""
    await require_admin(request, Right.READ)
    services = request.app[SERVICES]
    name, named = request.match_info["user"], request.query.get("iss")
    if not is_name(name) or not is_name(named or "-"):
        raise NotFound("no such user")
    iss, _ = services.issuers.resolve(named)
    sessions = await services.authority.sessions(user_key(iss, name))
    return Ok(SessionsView([view_session(session, None) for session in sessions]))
