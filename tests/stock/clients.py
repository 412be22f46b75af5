"""Stock python-socketio clients, synchronous and asynchronous, in one process.

Takes and writes the same lines as ``clients.mjs``; ``module`` is ``sync`` or ``async``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from typing import Any

import socketio
import socketio.exceptions

PATIENCE = 60
"""Seconds for which an answer or a connect is waited for."""

HANDLING = 0.02
"""Seconds that an app takes to handle a refusal, longer than a network on one machine."""

_lock = threading.Lock()


def tell(client: str, what: str, value: object = None) -> None:
    """Write what happened."""
    with _lock:
        sys.stdout.write(json.dumps({"client": client, "what": what, "value": value}) + "\n")
        sys.stdout.flush()


class SyncClient:
    """One of the synchronous client."""

    def __init__(self, url: str, given: dict[str, Any]) -> None:
        self.name = given["name"]
        self.io = socketio.Client(handle_sigint=False, request_timeout=PATIENCE)
        self.io.on("connect", lambda: tell(self.name, "connected"))
        self.io.on("connect_error", self._on_refusal)
        self.io.on("disconnect", lambda reason: tell(self.name, "disconnected", {"reason": reason}))
        self.io.on("logoutNotification", self._on_logout)
        threading.Thread(target=self._connect, args=(url, given), daemon=True).start()

    def _connect(self, url: str, given: dict[str, Any]) -> None:
        try:
            self.io.connect(
                f"{url}?client={self.name}",
                auth={"token": given["token"]},
                transports=given.get("transports"),
                wait_timeout=PATIENCE,
            )
        except socketio.exceptions.ConnectionError as error:
            tell(self.name, "gave up", str(error))

    def _on_refusal(self, error: Any) -> None:
        if isinstance(error, dict):
            tell(self.name, "refused", {"code": error["message"]})
        time.sleep(HANDLING)

    def _on_logout(self, notification: Any) -> dict[str, bool]:
        tell(self.name, "told", notification["reason"])
        return {"cleared": True}

    def log_out(self) -> None:
        """Log its session out."""
        self.io.emit(
            "logout",
            {"scope": "session"},
            callback=lambda answer: tell(self.name, "answered", answer["ok"]),
        )


class AsyncClient:
    """One of the asynchronous client."""

    def __init__(self, url: str, given: dict[str, Any]) -> None:
        self.name = given["name"]
        self.io = socketio.AsyncClient(handle_sigint=False, request_timeout=PATIENCE)
        self.io.on("connect", lambda: tell(self.name, "connected"))
        self.io.on("connect_error", self._on_refusal)
        self.io.on("disconnect", lambda reason: tell(self.name, "disconnected", {"reason": reason}))
        self.io.on("logoutNotification", self._on_logout)
        self._task = asyncio.ensure_future(self._connect(url, given))

    async def _connect(self, url: str, given: dict[str, Any]) -> None:
        try:
            await self.io.connect(
                f"{url}?client={self.name}",
                auth={"token": given["token"]},
                transports=given.get("transports"),
                wait_timeout=PATIENCE,
            )
        except socketio.exceptions.ConnectionError as error:
            tell(self.name, "gave up", str(error))

    async def _on_refusal(self, error: Any) -> None:
        if isinstance(error, dict):
            tell(self.name, "refused", {"code": error["message"]})
        await asyncio.sleep(HANDLING)

    async def _on_logout(self, notification: Any) -> dict[str, bool]:
        tell(self.name, "told", notification["reason"])
        return {"cleared": True}

    def log_out(self) -> None:
        """Log its session out."""
        self._task = asyncio.ensure_future(
            self.io.emit(
                "logout",
                {"scope": "session"},
                callback=lambda answer: tell(self.name, "answered", answer["ok"]),
            )
        )


KINDS: dict[str, type[SyncClient | AsyncClient]] = {"sync": SyncClient, "async": AsyncClient}


async def main() -> None:
    """Start the clients, and do what the input says until it ends."""
    read = asyncio.get_running_loop().run_in_executor
    given = json.loads(await read(None, sys.stdin.readline))
    clients = {
        client["name"]: KINDS[client["module"]](given["url"], client) for client in given["clients"]
    }
    while name := (await read(None, sys.stdin.readline)).strip():
        clients[name].log_out()


if __name__ == "__main__":
    asyncio.run(main())
