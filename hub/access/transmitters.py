"""The configured transmitters with their clients, which may be replaced while the hub runs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from hub.access.keys import renew_all, renew_old
from hub.access.transmitter import TransmitterClient
from hub.core.transmitters import Transmitter


def name_of(transmitter: Transmitter) -> str:
    """Return the name of a transmitter's stream in the store, for its hold and notes.

    Two transmitters with one ``iss`` differ in ``aud``.
    """
    return f"{transmitter.iss}|{(transmitter.rules.audience or ('',))[0]}"


class Transmitters:
    """The transmitters of the settings. Call `aclose` in the end."""

    def __init__(self, transmitters: Sequence[Transmitter] = ()) -> None:
        self._clients = {name_of(one): TransmitterClient(one) for one in transmitters}
        self._replaced = asyncio.Event()

    @property
    def clients(self) -> tuple[TransmitterClient, ...]:
        """A client for each, in the order of the settings."""
        return tuple(self._clients.values())

    def client(self, transmitter: Transmitter) -> TransmitterClient | None:
        """Return the client of a transmitter; None if it is not configured any more."""
        return self._clients.get(name_of(transmitter))

    def titles(self, by: str | None) -> set[str]:
        """Return the names, for people, of the transmitter ``by``, or of all."""
        named = (client.transmitter for client in self._clients.values())
        return {one.title for one in named if one.title is not None and by in (None, one.iss)}

    def replace(self, transmitters: Sequence[Transmitter]) -> Coroutine[Any, Any, None]:
        """Replace the transmitters, at once; those that are the same keep their clients.

        Await what is returned, which closes the others.
        """
        old, self._clients = self._clients, {}
        for one in transmitters:
            name = name_of(one)
            kept = old[name].transmitter == one if name in old else False
            self._clients[name] = old.pop(name) if kept else TransmitterClient(one)
        replaced, self._replaced = self._replaced, asyncio.Event()
        replaced.set()
        return self._close(old)

    def renew_old(self) -> None:
        """Begin to fetch keys again that are due, without waiting."""
        renew_old(client.keys for client in self._clients.values())

    async def renew(self) -> None:
        """Fetch the keys again that were fetched; where that fails, the last ones stay in use."""
        await renew_all(client.keys for client in self._clients.values())

    @property
    def replaced(self) -> asyncio.Event:
        """Is set by the next `replace`, which makes another one."""
        return self._replaced

    async def aclose(self) -> None:
        """Close all connections."""
        await self._close(self._clients)

    async def _close(self, clients: dict[str, TransmitterClient]) -> None:
        for client in clients.values():
            await client.aclose()
