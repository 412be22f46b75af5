"""``GET /signed-out``: why was I logged out, and what now?

Rendered by the server, so that it needs no script. The URL only selects one of the texts, and with
``by`` an issuer or transmitter of the settings to name; no part of it is shown.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from hub.pages.documents import Handler, cases, choose_language, document
from hub.settings import Settings

FILE = "signed-out.html"
GENERAL = "general"


def explaining(settings: Settings, find_title: Callable[[str | None], str | None]) -> Handler:
    """Return the handler of the page.

    ``find_title`` returns the name, for people, of an issuer or transmitter.
    """

    async def get_signed_out(request: web.Request) -> web.Response:
        reason = request.query.get("reason", GENERAL)
        case = reason if reason in cases(FILE) else GENERAL
        lang = choose_language(request)
        ended_by = find_title(request.query.get("by") or None)
        return document(FILE, case=case, login_url=settings.login_url, lang=lang, ended_by=ended_by)

    return get_signed_out
