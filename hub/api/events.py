"""``POST /events``: a transmitter of Shared Signals pushes a security event (RFC 8935)."""

from __future__ import annotations

import contextlib

import msgspec
from aiohttp import web

from hub.access.requests import read_request
from hub.api.answers import Answer
from hub.api.body import read_body
from hub.api.credentials import read_ip
from hub.api.services import SERVICES
from hub.core.refusal import Refusal, SignalRefused
from hub.errors import InvalidRequest

EVENT_TYPE = "application/secevent+jwt"
MAX_EVENT = 64 * 1024


class EventErrorView(msgspec.Struct, frozen=True):
    """Why an event is refused (section 2.3); ``err`` is one of the codes in section 2.4."""

    err: str
    description: str


class Accepted(Answer, frozen=True):
    """202 with an empty body: the event is stored, or there is nothing to do (section 2.2)."""

    status = 202


class EventRefused(Answer, frozen=True):
    """400: the event is refused, and must not be sent again (section 2.3)."""

    status = 400
    content_type = "application/json"
    schema = {  # noqa: RUF012 - declared by the base
        "type": "object",
        "properties": {"err": {"type": "string"}, "description": {"type": "string"}},
        "required": ["err", "description"],
        "additionalProperties": False,
    }

    body: EventErrorView

    def encode(self) -> bytes:
        """Return the encoded body."""
        return msgspec.json.encode(self.body)


class SenderRefused(EventRefused, frozen=True):
    """401: ``Authorization`` is not the one of the stream."""

    status = 401


class _Payload(msgspec.Struct, forbid_unknown_fields=True):
    """The body as Apple sends it ("Processing changes for Sign in with Apple accounts")."""

    payload: str


def _read_token(content_type: str, body: bytes) -> str:
    if content_type == EVENT_TYPE:
        return body.decode("ascii", "replace").strip()
    if content_type == "application/json":
        with contextlib.suppress(InvalidRequest):
            return read_request(_Payload, body).payload
    raise SignalRefused(Refusal.MALFORMED, f"the body is not {EVENT_TYPE}")


async def post_event(request: web.Request) -> Accepted | EventRefused | SenderRefused:
    """Take an event, and answer once its logout, if any, is stored."""
    body = await read_body(request, MAX_EVENT)
    try:
        token = _read_token(request.content_type, body)
        await request.app[SERVICES].events.take_push(
            token, request.headers.get("Authorization"), read_ip(request)
        )
    except SignalRefused as error:
        if error.retryable:
            raise
        view = EventErrorView(error.err, error.detail)
        if error.reason is not Refusal.AUTHORIZATION:
            return EventRefused(body=view, headers={"Content-Language": "en"})
        challenge = {"WWW-Authenticate": 'Bearer realm="logout-hub"', "Content-Language": "en"}
        return SenderRefused(body=view, headers=challenge)
    return Accepted()
