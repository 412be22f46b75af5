"""``GET /revocations``: the feed of logouts, for guards."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from hub.api.answers import Events
from hub.api.credentials import ADMINISTRATOR, read_token
from hub.api.event_stream import EventStream
from hub.api.services import SERVICES
from hub.core.feed_position import MAX_CHARACTERS
from hub.core.rights import GUARD, Right
from hub.errors import Forbidden, TokenInvalid

LAST_EVENT: tuple[dict[str, Any], ...] = (
    {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "the id of the last event received, to get only what was written since",
        "schema": {"type": "string", "maxLength": MAX_CHARACTERS},
    },
)


async def get_revocations(request: web.Request) -> Events:
    """Return the revocations in force, and each logout from now on, as server-sent events."""
    since = asyncio.get_running_loop().time()
    services = request.app[SERVICES]
    _admit(request)
    last_id = request.headers.get("Last-Event-ID", "")
    await services.feed.check_room(last_id)

    async def serve(stream: EventStream) -> None:
        await services.feed.serve(stream, since, last_id)

    return Events(response=EventStream(request, serve, services.settings.limit_write_seconds))


def _admit(request: web.Request) -> None:
    """Check that the caller is a guard, or an administrator who may read the feed.

    Guards are not rate-limited: when a replica stops, all of its guards reconnect at once.

    Raises:
        TokenInvalid: if it is neither; JWTs are not accepted, not even an administrator's.
        Forbidden: if the administrator may not read the feed.
        RateLimited: if there are too many calls of that administrator.
    """
    services = request.app[SERVICES]
    found = services.administrators.find(read_token(request))
    if found is None:
        raise TokenInvalid("neither HUB_GUARD_TOKEN nor a credential of an administrator")
    request[ADMINISTRATOR] = found.name
    if found.name != GUARD:
        services.limits.admin.take(found.name)
    if not found.may(Right.FEED):
        raise Forbidden(f"this credential lacks the scope {Right.FEED}")
