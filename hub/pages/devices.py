"""``GET /devices``: where am I logged in? For logins by cookie."""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

from hub.access.authority import Authority
from hub.access.client import read_cookie
from hub.core.model import Logout, Reason
from hub.errors import NotFound, TokenExpired, TokenRevoked, Unauthorized, Unavailable
from hub.pages.documents import Handler, asked_language, choose_language, document
from hub.settings import Settings

FILE = "devices.html"


def listing(settings: Settings, authority: Authority) -> Handler:
    """Return the handler of the page.

    The page contains no personal data: its script fetches them. Whether the caller is logged in is
    checked here nevertheless, so that the page can say so without a script.
    """

    async def get_devices(request: web.Request) -> web.Response:
        if settings.cookie_name is None:
            raise NotFound(
                "this page is for login by cookie: the operator must set HUB_COOKIE_NAME"
            )
        lang = choose_language(request)
        try:
            await authority.admit(read_cookie(request.headers, settings.cookie_name) or "")
        except TokenRevoked as refusal:
            return _explain(request, refusal.logout)
        except TokenExpired:
            return _explain(request, None, Reason.EXPIRED)
        except Unauthorized:
            return document(FILE, case="nobody", login_url=settings.login_url, lang=lang)
        except Unavailable:
            page = document(FILE, case="unavailable", lang=lang)
            page.set_status(Unavailable.status)
            page.headers["Retry-After"] = "1"
            return page
        return document(FILE, case="somebody", lang=lang)

    return get_devices


def _explain(
    request: web.Request, logout: Logout | None, reason: Reason = Reason.USER
) -> web.Response:
    query = {"reason": reason.value if logout is None else logout.reason.value}
    if logout is not None and logout.origin is not None:
        query["by"] = logout.origin.by
    if (lang := asked_language(request)) is not None:
        query["lang"] = lang
    where = "/signed-out?" + urlencode(query)
    return web.Response(status=303, headers={"Location": where})
