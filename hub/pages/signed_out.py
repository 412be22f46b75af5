"""``GET /signed-out``: why was I logged out, and what now?

Rendered by the server, so that it needs no script. The address only selects one of the texts; no
part of it is shown.
"""

from __future__ import annotations

from aiohttp import web

from hub.pages.documents import Handler, cases, choose_language, document
from hub.settings import Settings

FILE = "signed-out.html"
GENERAL = "general"


def explaining(settings: Settings) -> Handler:
    """Return the handler of the page."""

    async def get_signed_out(request: web.Request) -> web.Response:
        reason = request.query.get("reason", GENERAL)
        case = reason if reason in cases(FILE) else GENERAL
        lang = choose_language(request)
        return document(FILE, case=case, login_url=settings.login_url, lang=lang)

    return get_signed_out
