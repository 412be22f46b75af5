"""The guard: refuses ended sessions in any Python backend, without asking the hub each time.

It imports nothing of the hub's server: no aiohttp, Socket.IO, Redis or pydantic.
"""

from __future__ import annotations

from hub.core.feed import Revocation
from hub.core.model import Identity
from hub.guard.guard import Guard, Watch
from hub.guard.sync_guard import SyncGuard, SyncWatch

__all__ = ["Guard", "Identity", "Revocation", "SyncGuard", "SyncWatch", "Watch"]
