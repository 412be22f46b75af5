"""Reads a form of an OAuth endpoint (RFC 6749 sections 3.1 and 3.2, appendix B)."""

from __future__ import annotations

from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from hub.api.body import read_body
from hub.errors import InvalidRequest

FORM = "application/x-www-form-urlencoded"
MAX_FORM = 64 * 1024
MAX_FIELDS = 100


async def read_form(request: web.Request, form: type[msgspec.Struct]) -> dict[str, str]:
    """Return the parameters that are fields of ``form``; others are ignored.

    One without a value counts as omitted.

    Raises:
        InvalidRequest: when it is not a form, or a parameter is repeated.
        HTTPRequestEntityTooLarge: when it has more than `MAX_FORM` bytes.
    """
    if request.content_type != FORM:
        raise InvalidRequest(f"the body is not {FORM}")
    body = await read_body(request, MAX_FORM)
    try:
        pairs = parse_qsl(
            body.decode(errors="surrogateescape"),
            keep_blank_values=True,
            errors="surrogateescape",
            max_num_fields=MAX_FIELDS,
        )
        named = [(name, value) for name, value in pairs if name in form.__struct_fields__]
        for _, value in named:
            value.encode()
    except ValueError:
        raise InvalidRequest("the form cannot be read") from None
    fields = dict(named)
    if len(fields) < len(named):
        raise InvalidRequest("a parameter is repeated in the form")
    return {name: value for name, value in fields.items() if value}
