"""Serves the files of this package, with the headers that isolate them."""

from __future__ import annotations

import html
import re
from collections.abc import Awaitable, Callable
from functools import cache
from importlib import resources
from string import Template

from aiohttp import web

from hub.core.weights import read_weights

Handler = Callable[[web.Request], Awaitable[web.Response]]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript"}

ENDED_BY = {"en": "Ended by", "de": "Beendet durch"}
LOG_IN = {"en": "Log in", "de": "Anmelden"}
"""The text of the login link by language; the first language is the default."""

_CASE = re.compile(r'^ *<section data-case="(\w+)".*?^ *</section>\n', re.MULTILINE | re.DOTALL)


@cache
def read_page(name: str) -> str:
    """Return a file of this package."""
    return resources.files("hub.pages").joinpath(name).read_text(encoding="utf-8")


def cases(name: str) -> tuple[str, ...]:
    """Return the cases of a document: the sections of which one is shown."""
    return tuple(_CASE.findall(read_page(name)))


def document(
    name: str,
    *,
    case: str = "",
    login_url: str | None = None,
    lang: str = "en",
    ended_by: str | None = None,
) -> web.Response:
    """Return a document as an answer, with the section of ``case`` and no other.

    Without ``login_url`` it has no link to log in. ``lang`` is one of `LOG_IN`. ``ended_by`` is who
    ended the session, for the section that names them.
    """
    file = name if lang == "en" else name.replace(".html", f".{lang}.html")
    text = _CASE.sub(lambda found: found[0] if found[1] == case else "", read_page(file))
    parts = {
        "head": read_page("head.html").strip(),
        "login": _login_link(login_url, lang),
        "ended_by": _ended_by(ended_by, lang),
    }
    page = answer(file, Template(text).safe_substitute(parts))
    page.headers["Content-Language"] = lang
    page.headers["Vary"] = "Accept-Language"
    return page


def choose_language(request: web.Request) -> str:
    """Return the language that ``?lang=`` asks for, or else ``Accept-Language``.

    Either may name a region (``de-AT``), which is ignored. See RFC 9110 section 12.5.4.
    """
    if (asked := asked_language(request)) is not None:
        return asked
    weights = read_weights(request.headers.getall("Accept-Language", []))
    wanted = [tag for tag, weight in weights.items() if weight > 0 and _primary(tag) in LOG_IN]
    return _primary(max(wanted, key=weights.__getitem__, default="en"))


def asked_language(request: web.Request) -> str | None:
    """Return the language that ``?lang=`` asks for, if there are documents in it."""
    asked = _primary(request.query.get("lang", ""))
    return asked if asked in LOG_IN else None


def _primary(tag: str) -> str:
    return tag.strip().partition("-")[0].lower()


def answer(name: str, text: str | None = None) -> web.Response:
    """Return a file as an answer, with ``text`` in place of its content if given."""
    return web.Response(
        text=read_page(name) if text is None else text,
        content_type=KINDS[name.rpartition(".")[2]],
        charset="utf-8",
        headers=HEADERS,
    )


def serving(name: str) -> Handler:
    """Return a handler that answers with an unchanged file."""

    async def get_file(request: web.Request) -> web.Response:
        return answer(name)

    return get_file


def _ended_by(name: str | None, lang: str) -> str:
    if not name:
        return ""
    return f'<p class="ended-by">{ENDED_BY[lang]}: <strong>{html.escape(name)}</strong>.</p>'


def _login_link(url: str | None, lang: str) -> str:
    return f'<a class="main" href="{html.escape(url)}">{LOG_IN[lang]}</a>' if url else ""
