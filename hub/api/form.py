"""Reads a form of an OAuth endpoint (RFC 6749 sections 3.1 and 3.2, appendix B)."""

from __future__ import annotations

from urllib.parse import parse_qsl

from aiohttp import web

from hub.api.body import read_body
from hub.errors import InvalidRequest

FORM = "application/x-www-form-urlencoded"
MAX_FORM = 64 * 1024
MOST_FIELDS = 100


async def read_form(request: web.Request) -> dict[str, str]:
    """Return the parameters of a form; one without a value counts as omitted.

    Raises:
        InvalidRequest: when it is not a form, or a parameter is repeated.
        HTTPRequestEntityTooLarge: when it has more than `MAX_FORM` bytes.
    """
    if request.content_type != FORM:
        raise InvalidRequest(f"the body is not {FORM}")
    body = await read_body(request, MAX_FORM)
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError:
        raise InvalidRequest("the form cannot be read") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise InvalidRequest("a parameter stands twice in the form")
    return {name: value for name, value in fields.items() if value}
