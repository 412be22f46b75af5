"""Creates the store that the settings name, and computes how long it remembers logouts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from hub.core.bus import derive_key
from hub.core.issuers import Entry
from hub.core.model import SECOND, Micros
from hub.metrics import Metrics
from hub.settings import Settings
from hub.store.durability import Durability
from hub.store.memory import MemoryStore
from hub.store.redis import RedisStore

OpenStore: TypeAlias = MemoryStore | RedisStore
"""A store that has to be entered before use."""


def create_store(settings: Settings, metrics: Metrics, entries: Sequence[Entry] = ()) -> OpenStore:
    """Return the store that the settings name, not yet entered."""
    lifetime = logout_lifetime(settings, entries)
    receipts = round(settings.receipt_lifetime * SECOND)
    if settings.redis_url is None:
        return MemoryStore(
            lifetime=lifetime,
            max_sessions=settings.max_sessions,
            pace=settings.limit_logouts,
            receipts=receipts,
        )
    url = settings.redis_url.get_secret_value()
    return RedisStore(
        url,
        lifetime=lifetime,
        token_lifetime=token_lifetime(settings, entries),
        max_sessions=settings.max_sessions,
        durability=Durability(settings.wait_disk, settings.wait_replicas),
        bus_key=derive_key(settings.shared_secret),
        pace=settings.limit_logouts,
        receipts=receipts,
        on_forged=metrics.forged.inc,
    )


def token_lifetime(settings: Settings, entries: Sequence[Entry]) -> Micros:
    """Return how long a token may live at most, with the leeway of its times."""
    longest = [entry.rules.max_lifetime + 2 * entry.rules.leeway for entry in entries]
    usual = round((settings.token_max_lifetime + 2 * settings.jwt_leeway) * SECOND)
    return max([usual, *longest]) + 60 * SECOND


def logout_lifetime(settings: Settings, entries: Sequence[Entry]) -> Micros:
    """Return how long a logout is remembered: for as long as a login may be refreshed.

    That is never shorter than a token may live.
    """
    return max(token_lifetime(settings, entries), round(settings.login_max_lifetime * SECOND))
