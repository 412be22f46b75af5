"""``GET /logouts/{id}``: the receipt of a logout, and the states of its sessions."""

from __future__ import annotations

from aiohttp import web

from hub.access.parameters import read_page, read_place, read_state, read_wait, write_place
from hub.access.views import ReceiptView, view_receipt
from hub.api.answers import Ok
from hub.api.credentials import admit_or_explain, is_admin, require_admin
from hub.api.services import SERVICES
from hub.api.views import EndedPageView, ManyReceiptView, view_ended, view_many
from hub.core.rights import Right
from hub.errors import NotFound

MAX_ID = 64


async def get_logout(request: web.Request) -> Ok[ReceiptView | ManyReceiptView]:
    """Return the receipt of a logout, to the user whose sessions it ended or an administrator.

    A session that this logout ended may still read this receipt, but do nothing else.
    """
    logout_id, wait = request.match_info["id"], read_wait(request.query.get("wait"))
    user = None
    if not await is_admin(request, Right.READ, Right.LOGOUT):
        caller, refusal = await admit_or_explain(request)
        if refusal is not None and (refusal.logout is None or refusal.logout.id != logout_id):
            raise refusal
        user = caller.user
    _check_id(logout_id)
    receipt = await request.app[SERVICES].logouts.read(logout_id, user, wait)
    if receipt.users != 1:
        return Ok(view_many(receipt))
    return Ok(view_receipt(receipt, for_admin=user is None))


async def get_sessions(request: web.Request) -> Ok[EndedPageView]:
    """Return a page of the sessions of a logout, with their states, to administrators."""
    await require_admin(request, Right.READ)
    logout_id, query = request.match_info["id"], request.query
    _check_id(logout_id)
    found, following = await request.app[SERVICES].logouts.outcomes(
        logout_id,
        read_state(query.get("state")),
        read_place(query.get("after")),
        read_page(query.get("limit")),
    )
    return Ok(EndedPageView([view_ended(one) for one in found], write_place(following)))


def _check_id(logout_id: str) -> None:
    if len(logout_id) > MAX_ID or not logout_id.isascii() or ":" in logout_id:
        raise NotFound("no such logout")
