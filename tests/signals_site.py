"""A hub with an issuer whose keys it fetches, for tests of what that issuer says of sessions."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer

from hub.settings import Settings
from tests.api.test_answers import check_answer
from tests.signals_table import CLIENT, TWIN, Case, Sender, logout_token
from tests.site import Answer, Replica, settings

API = "api"
LOGOUT_AUDIENCE = f'logout_audience = "{CLIENT}"\n'


@contextlib.asynccontextmanager
async def issuer_settings(
    folder: Path, sender: Sender, members: str = LOGOUT_AUDIENCE, more: str = "", **changes: Any
) -> AsyncIterator[Settings]:
    """Serve a sender's keys, and yield settings for a hub with an entry for it.

    ``members`` are lines of the entry, ``more`` are other tables of the file, which may hold
    ``{jwks}``, where the keys are.
    """

    async def get_keys(request: web.Request) -> web.Response:
        return web.json_response(sender.jwks())

    app = web.Application()
    app.router.add_get("/jwks", get_keys)
    async with TestServer(app) as server:
        file = folder / "issuers.toml"
        file.write_text(
            f'[[issuer]]\niss = "{sender.iss}"\njwks_url = "{server.make_url("/jwks")}"\n'
            f'audience = "{API}"\n{members}\n{more.format(jwks=server.make_url("/jwks"))}'
        )
        yield settings(issuers=str(file), jwt_secret=None, **changes)


def access_token(sender: Sender, user: str = "ada", sid: str | None = "s-1", **claims: Any) -> str:
    """Return an access token of the issuer, issued two seconds ago."""
    now = int(time.time()) - 2
    given: dict[str, Any] = {
        "iss": sender.iss, "aud": API, "sub": user, "sid": sid, "iat": now, "exp": now + 600,
    } | claims  # fmt: skip
    kept = {name: value for name, value in given.items() if value is not None}
    return jwt.encode(kept, sender.keys["ES256"], "ES256", {"kid": "ES256"})


async def send_logout(hub: Replica, sender: Sender, case: Case = TWIN, **twin: Any) -> Answer:
    """Send the logout token of a case, of which ``twin`` are claims that its twin has, too."""
    return await send_token(hub, logout_token(case, sender, time.time(), **twin))


async def send_token(hub: Replica, token: str) -> Answer:
    """Send a logout token."""
    answer = await hub.call("POST", "/backchannel-logout", data={"logout_token": token})
    check_answer("POST /backchannel-logout", answer)
    return answer


async def is_alive(hub: Replica, token: str) -> bool:
    """Tell whether a token is accepted."""
    return (await hub.call("GET", "/verify", token)).status == 204
