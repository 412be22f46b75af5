"""Fetches the keys of issuers and transmitters again, whether or not anybody presents a token."""

from __future__ import annotations

import asyncio

from hub.access.issuers import Issuers
from hub.access.transmitters import Transmitters

EVERY = 1.0
"""Seconds between two checks which keys are due."""


class KeyRenewal:
    """Has keys fetched that are due, so that a withdrawn one is not found after hours of silence.

    Nobody who needs a key waits for that, so nobody else can see to it.
    """

    def __init__(self, issuers: Issuers, transmitters: Transmitters) -> None:
        self._issuers = issuers
        self._transmitters = transmitters

    async def run(self) -> None:
        """Look for keys that are due; runs until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            self._issuers.renew_old()
            self._transmitters.renew_old()
