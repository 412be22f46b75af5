"""A real Firefox, spoken to by WebDriver BiDi (https://www.w3.org/TR/webdriver-bidi/)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.patience import PATIENCE
from tests.ports import free_port

PREFERENCES = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "http://127.0.0.1:9",
}
SLOWEST = 3 * PATIENCE
"""Seconds that Firefox may take for one thing: it starts when all other tests start, too."""


class Firefox:
    """A running Firefox."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self._websocket = websocket
        self._numbers = itertools.count(1)
        self._visitors: list[str] = []

    async def command(self, method: str, **params: Any) -> Any:
        """Return what a command gives; one at a time.

        Raises:
            RuntimeError: when the browser refuses it.
        """
        number = next(self._numbers)
        await self._websocket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(SLOWEST):
            while (answer := await self._websocket.receive_json()).get("id") != number:
                pass
        if answer["type"] != "success":
            raise RuntimeError(f"{method}: {answer}")
        return answer["result"]

    async def run_first(self, function: str) -> None:
        """Run a function in each page before its own scripts."""
        await self.command("script.addPreloadScript", functionDeclaration=function)

    async def visitor(self) -> str:
        """Return a container that shares no storage with others."""
        made = await self.command("browser.createUserContext")
        self._visitors.append(made["userContext"])
        return self._visitors[-1]

    async def close_visitors(self) -> None:
        """Close the tabs of all visitors, and forget what they stored."""
        while self._visitors:
            await self.command("browser.removeUserContext", userContext=self._visitors.pop())

    async def tab(self, visitor: str) -> FirefoxTab:
        """Open a tab."""
        made = await self.command("browsingContext.create", type="tab", userContext=visitor)
        return FirefoxTab(self, made["context"])


class FirefoxTab:
    """A tab of Firefox."""

    def __init__(self, firefox: Firefox, context: str) -> None:
        self._firefox = firefox
        self._context = context

    async def go(self, address: str) -> None:
        """Go to an address, and wait until it is loaded."""
        await self._firefox.command(
            "browsingContext.navigate", context=self._context, url=address, wait="complete"
        )

    async def go_back(self) -> None:
        """Press Back."""
        await self._firefox.command(
            "browsingContext.traverseHistory", context=self._context, delta=-1
        )

    async def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, or of the promise that it gives, as JSON has it.

        Raises:
            RuntimeError: when it throws.
        """
        answer = await self._firefox.command(
            "script.evaluate",
            expression=f"(async () => JSON.stringify({{value: await ({expression})}}))()",
            target={"context": self._context},
            awaitPromise=True,
        )
        if answer["type"] != "success":
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']['text']}")
        return json.loads(answer["result"]["value"]).get("value")

    async def wait(self, expression: str) -> Any:
        """Return the value of an expression once it is true, through navigations."""
        found = None
        async with asyncio.timeout(PATIENCE):
            while not found:
                await asyncio.sleep(0.05)
                # What is asked in the middle of a navigation is lost.
                with contextlib.suppress(RuntimeError):
                    found = await self.evaluate(expression)
        return found


@contextlib.asynccontextmanager
async def firefox(folder: Path) -> AsyncIterator[Firefox]:
    """Run a Firefox with its profile in ``folder``; skips the test where there is none.

    Also where all other tools are required: no image of ours promises a Firefox.
    """
    path = os.environ.get("FIREFOX") or shutil.which("firefox-esr") or shutil.which("firefox")
    if path is None:
        pytest.skip("Firefox is optional, and not here; FIREFOX names one elsewhere")
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items()]
    (folder / "user.js").write_text("\n".join(lines))
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        path,
        *("--headless", "--no-remote", "--profile", str(folder)),
        *("--remote-debugging-port", str(port)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as http:
            websocket = await _reach(http, f"ws://127.0.0.1:{port}/session")
            running = Firefox(websocket)
            await running.command("session.new", capabilities={})
            yield running
            await running.command("browser.close")
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), PATIENCE)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _reach(http: aiohttp.ClientSession, address: str) -> aiohttp.ClientWebSocketResponse:
    async with asyncio.timeout(SLOWEST):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                return await http.ws_connect(address, max_msg_size=0)
            await asyncio.sleep(0.1)
