"""Tries a running hub from outside, as stock clients do.

Deployments break in a few well-known ways: a proxy drops upgrades, polls of one client reach
different replicas, a clock is wrong. Each has a step of its own, and the first that fails names it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import msgspec
import socketio
import socketio.exceptions

from hub.protocol.engineio import PATH

LIMIT = 10.0
"""Seconds that a step may take."""

POLLS = 4
"""How many times to test whether the polls of one client reach the same replica."""

CLOCK_STEP = 5.0
"""Seconds that clocks may differ before it is reported; `Date` has whole seconds."""

ROUND = ("connect", "upgrade", "notification", "cut", "refusal")
"""The steps of one login and logout."""

SOCKETS = f"{PATH}?EIO=4&transport="
OF_ONE_REPLICA = (
    "the polls of one client reach different replicas: route them by the end of the session id "
    "(docs/how-to/scale-out.md)"
)
NO_UPGRADE = "WebSocket is not passed on: does a proxy drop Upgrade and Connection?"


class Step(msgspec.Struct, frozen=True):
    """One step that was tried, how long it took, and why it failed or what to note."""

    step: str
    ok: bool
    ms: float
    detail: str = ""


class Failed(Exception):
    """A step failed, for this reason."""


class Client:
    """A stock client over these transports: python-socketio's."""

    def __init__(self, http: aiohttp.ClientSession, transports: list[str]) -> None:
        self._transports = transports
        self._refusal: dict[str, Any] | None = None
        self.io = socketio.AsyncClient(reconnection=False, http_session=http, handle_sigint=False)
        self.notified, self.cut = asyncio.Event(), asyncio.Event()
        self.io.on("connect_error", self._on_refusal)
        self.io.on("logoutNotification", self._on_notification)
        self.io.on("disconnect", lambda reason: self.cut.set())

    def _on_refusal(self, refusal: Any) -> None:
        self._refusal = refusal if isinstance(refusal, dict) else None

    def _on_notification(self, notification: Any) -> dict[str, bool]:
        self.notified.set()
        return {"cleared": True}

    async def connect(self, url: str, token: str) -> str | None:
        """Connect; return the code and detail of the hub's refusal, if it refuses.

        Raises:
            Failed: when there is no answer.
        """
        auth = {"token": token, "device": "logout-hub probe"}
        wait = {"wait_timeout": int(LIMIT)}
        try:
            await self.io.connect(url, auth=auth, transports=self._transports, **wait)
        except socketio.exceptions.ConnectionError as error:
            if self._refusal is None:
                raise Failed(str(error)) from None
            data = self._refusal.get("data") or {}
            return f"{self._refusal.get('message')}: {data.get('detail') or data.get('title')}"
        return None


class Probe:
    """Tries the hub at ``url``; ``steps`` are the results, up to the first that failed.

    ``new_token`` returns a token of a session that may be ended, a new one at each call.
    """

    def __init__(self, http: aiohttp.ClientSession, url: str, new_token: Callable[[], str]) -> None:
        self._http = http
        self._url = url
        self._new_token = new_token
        self.steps: list[Step] = []

    async def run(self, count: int, on_round: Callable[[], object] = lambda: None) -> bool:
        """Try everything, login and logout ``count`` times; return whether all worked."""
        try:
            await self._step("reach", self._reach())
            await self._step("polling", self._poll())
            await self._step("websocket", self._open_websocket())
            for _ in range(count):
                await self._log_in_and_out()
                on_round()
        except Failed:
            return False
        return True

    async def _step(self, name: str, work: Awaitable[str]) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(LIMIT):
                ok, detail = True, await work
        except TimeoutError:
            ok, detail = False, f"no answer within {LIMIT:.0f} s"
        except (Failed, aiohttp.ClientError, OSError) as error:
            ok, detail = False, str(error) or type(error).__name__
        except Exception as error:  # what stands there may be no hub, and answer anything
            ok, detail = False, f"no hub answers like this: {error!r}"
        self.steps.append(Step(name, ok, round(1000 * (time.monotonic() - began), 1), detail))
        if not ok:
            raise Failed(detail)

    async def _reach(self) -> str:
        async with self._http.get(f"{self._url}/healthz") as answer:
            if answer.status != 200:
                raise Failed(f"/healthz answered {answer.status}: is this a hub?")
            date = answer.headers.get("Date")
        ahead = parsedate_to_datetime(date).timestamp() - time.time() if date else 0.0
        if abs(ahead) < CLOCK_STEP:
            return ""
        which = "ahead of" if ahead > 0 else "behind"
        return f"its clock is {abs(ahead):.0f} s {which} this machine's"

    async def _poll(self) -> str:
        opening = f"{self._url}{SOCKETS}polling"
        async with self._http.get(opening) as answer:
            text = await answer.text()
            if answer.status != 200 or not text.startswith("0{"):
                raise Failed(f"the first poll was answered with {answer.status}: {text[:100]}")
        address = f"{opening}&sid={json.loads(text[1:])['sid']}"
        for packet in [*["3"] * POLLS, "1"]:
            # A new connection for each, as browsers use several.
            headers = {"Connection": "close"}
            async with self._http.post(address, data=packet, headers=headers) as answer:
                if answer.status == 400:
                    raise Failed(OF_ONE_REPLICA)
                if answer.status != 200:
                    raise Failed(f"a poll was answered with {answer.status}")
        return ""

    async def _open_websocket(self) -> str:
        try:
            async with self._http.ws_connect(f"{self._url}{SOCKETS}websocket") as websocket:
                message = await websocket.receive()
        except aiohttp.WSServerHandshakeError as error:
            raise Failed(f"answered with {error.status}: {NO_UPGRADE}") from None
        if message.type is not aiohttp.WSMsgType.TEXT or not message.data.startswith("0{"):
            raise Failed(f"nothing arrived over it: {NO_UPGRADE}")
        return ""

    async def _log_in_and_out(self) -> None:
        token = self._new_token()
        async with self._clients() as (upgraded, direct):
            await self._step("connect", self._connect(token, upgraded, direct))
            await self._step("upgrade", self._check_upgrade(upgraded))
            await self._step("notification", self._log_out(token, upgraded, direct))
            await self._step("cut", self._wait_for_cut(upgraded, direct))
        await self._step("refusal", self._come_back(token))

    @contextlib.asynccontextmanager
    async def _clients(self) -> AsyncIterator[tuple[Client, Client]]:
        upgraded = Client(self._http, ["polling", "websocket"])
        direct = Client(self._http, ["websocket"])
        try:
            yield upgraded, direct
        finally:
            # Where the hub has just cut them off, this may fail, which changes no result.
            leaving = (upgraded.io.disconnect(), direct.io.disconnect())
            await asyncio.gather(*leaving, return_exceptions=True)

    async def _connect(self, token: str, *clients: Client) -> str:
        for client in clients:
            if (refusal := await client.connect(self._url, token)) is not None:
                raise Failed(f"the hub refuses the token, {refusal}")
        return ""

    async def _check_upgrade(self, client: Client) -> str:
        if client.io.transport() != "websocket":
            raise Failed(f"it is still polling: {NO_UPGRADE}")
        return ""

    async def _log_out(self, token: str, *clients: Client) -> str:
        headers = {"Authorization": f"Bearer {token}"}
        body = {"scope": "session"}
        async with self._http.post(f"{self._url}/logout", headers=headers, json=body) as answer:
            if answer.status != 200:
                text = await answer.text()
                raise Failed(f"the logout was answered with {answer.status}: {text[:200]}")
        for client in clients:
            await client.notified.wait()
        return ""

    async def _wait_for_cut(self, *clients: Client) -> str:
        for client in clients:
            await client.cut.wait()
        return ""

    async def _come_back(self, token: str) -> str:
        client = Client(self._http, ["websocket"])
        try:
            refusal = await client.connect(self._url, token)
        finally:
            await asyncio.gather(client.io.disconnect(), return_exceptions=True)
        if refusal is None or not refusal.startswith("token_revoked"):
            raise Failed(f"the ended session is not refused as such: {refusal or 'it is accepted'}")
        return ""


def times(steps: list[Step], step: str) -> dict[str, float]:
    """Return p50 and p99 of a step, in milliseconds."""
    taken = sorted(one.ms for one in steps if one.step == step and one.ok)
    if not taken:
        return {}
    return {
        f"p{percent}": taken[min(len(taken) - 1, len(taken) * percent // 100)]
        for percent in (50, 99)
    }
