"""Stock Socket.IO clients behind a balancer, which reconnect by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

import aiohttp
import socketio

from tests.deploy.balancers import Front
from tests.e2e.people import StockClient, stock_client
from tests.patience import PATIENCE
from tests.site import Replica, token

WEBSOCKET: dict[str, Any] = {"transports": ["websocket"]}
POLLING: dict[str, Any] = {"transports": ["polling"]}
DEFAULT: dict[str, Any] = {}


class Device:
    """python-socketio's client. ``homes`` are the replicas that it was connected to, in order."""

    def __init__(self, user: str, http: aiohttp.ClientSession) -> None:
        self.token = token(user, f"s-{secrets.token_hex(4)}")
        self.io = socketio.AsyncClient(http_session=http, request_timeout=PATIENCE)
        self.homes: list[str] = []
        self.notices: list[Any] = []
        self._news = asyncio.Condition()
        self.io.on("connect", self._on_connect)
        self.io.on("logoutNotification", self._on_notification)

    async def _on_connect(self) -> None:
        async with self._news:
            self.homes.append(self.io.eio.sid.rpartition(".")[2])
            self._news.notify_all()

    async def _on_notification(self, notification: Any) -> dict[str, bool]:
        async with self._news:
            self.notices.append(notification)
            self._news.notify_all()
        return {"cleared": True}

    @property
    def transport(self) -> str:
        """The transport in use."""
        return str(self.io.transport())

    async def connect(self, front: Front, options: dict[str, Any]) -> None:
        """Connect with a client's ``options``."""
        auth = {"token": self.token}
        await self.io.connect(front.url, auth=auth, wait_timeout=int(PATIENCE), **options)
        await self.wait_for_homes(1)

    async def wait_for_homes(self, count: int) -> None:
        """Wait until the device was connected for the ``count``-th time."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: len(self.homes) >= count)

    async def wait_for_notice(self) -> Any:
        """Return the notification that the device gets."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: bool(self.notices))
        return self.notices[0]


@contextlib.asynccontextmanager
async def devices(
    front: Front, http: aiohttp.ClientSession, *kinds: dict[str, Any], user: str | None = None
) -> AsyncIterator[list[Device]]:
    """Connect a device for each of the options given, all of one user."""
    user = user or f"ada-{secrets.token_hex(4)}"
    crowd = [Device(user, http) for _ in kinds]
    try:
        for device, options in zip(crowd, kinds, strict=True):
            await device.connect(front, options)
        yield crowd
    finally:
        await asyncio.gather(*(device.io.shutdown() for device in crowd))
        await asyncio.sleep(0.1)


def javascript_device(
    front: Front, given: str, **options: Any
) -> AbstractAsyncContextManager[StockClient]:
    """Run Node's stock client with a token, as a child that must trust ``front.certificate``."""
    # It asks a replica for its address only, and a balancer has one too.
    return stock_client(cast("Replica", front), given, **options)
