"""A guard of a few lines, as somebody would write it from the documentation."""

from __future__ import annotations

import asyncio
import contextlib
import json
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp

from tests.patience import PATIENCE
from tests.site import Replica

GUARD = "a guard token for tests"


class Heard:
    """One event of the feed."""

    def __init__(self, kind: str, data: Any, id_: str) -> None:
        self.kind = kind
        self.data = data
        self.id = id_


class Reader:
    """Reads one response; ``id`` is that of the last event that had one."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self.id = ""
        self._gzip = zlib.decompressobj(wbits=31)
        self._text = b""

    @property
    def status(self) -> int:
        """The status of the response."""
        return self.answer.status

    async def next(self) -> Heard | None:
        """Return the next event, or None at the end."""
        while True:
            while b"\n\n" not in self._text:
                async with asyncio.timeout(PATIENCE):
                    some = await self.answer.content.readany()
                if not some:
                    return None
                is_packed = self.answer.headers.get("Content-Encoding") == "gzip"
                self._text += self._gzip.decompress(some) if is_packed else some
            block, _, self._text = self._text.partition(b"\n\n")
            pairs = (line.partition(": ") for line in block.decode().split("\n"))
            lines = {name: value for name, _, value in pairs if name}
            self.id = lines.get("id", self.id)
            if "event" in lines:
                return Heard(lines["event"], json.loads(lines["data"]), lines.get("id", ""))

    async def until(self, kind: str, matches: Callable[[Any], bool] = bool) -> list[Heard]:
        """Return the events up to the first of this kind whose data matches."""
        found: list[Heard] = []
        async with asyncio.timeout(PATIENCE):
            while (one := await self.next()) is not None:
                found.append(one)
                if one.kind == kind and matches(one.data):
                    return found
        raise AssertionError(f"the feed ended before {kind}: {[one.kind for one in found]}")


def revocations(events: list[Heard]) -> list[dict[str, Any]]:
    """Return the revocations in some events, those of snapshots and those that were live."""
    found: list[dict[str, Any]] = []
    for one in events:
        found += one.data["revocations"] if one.kind == "snapshot" else []
        found += [one.data] if one.kind == "logout" else []
    return found


@contextlib.asynccontextmanager
async def reading(
    hub: Replica, last_id: str | None = None, token: str | None = GUARD, **headers: str
) -> AsyncIterator[Reader]:
    """Read the feed of a hub for the length of the context."""
    sent = {"Accept-Encoding": "identity", **headers}
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    if last_id is not None:
        sent["Last-Event-ID"] = last_id
    url, timeout = hub.url + "/revocations", aiohttp.ClientTimeout(total=None)
    async with (
        aiohttp.ClientSession(auto_decompress=False, timeout=timeout) as http,
        http.get(url, headers=sent) as answer,
    ):
        yield Reader(answer)
