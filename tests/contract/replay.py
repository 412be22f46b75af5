"""What the log of a store says, for tests: read from its beginning, and judged by."""

from __future__ import annotations

from collections.abc import Sequence

from hub.core.model import Identity, Logout, Position, RevocationState, Scope, split_user_key
from hub.core.revocation import supersede
from hub.store.base import Store
from hub.store.values import LogoutEvent


async def read_log(
    store: Store, partition: int, after: Position | None = None
) -> tuple[list[LogoutEvent], Position]:
    """Return everything in the log of a partition after a position, and the position of its end."""
    events: list[LogoutEvent] = []
    while True:
        page = await store.history(partition, after)
        events += page.events
        after = page.position
        if page.is_end:
            return events, after


def recall_state(events: Sequence[LogoutEvent], who: Identity, now: int) -> RevocationState:
    """Return what these logouts say about a session that is not registered."""
    iss = split_user_key(who.user)[0]
    tombstones: list[Logout] = []
    own: tuple[Logout, ...] = ()
    everyones: tuple[Logout, ...] = ()
    for event in events:
        logout = event.logout
        is_named = logout.scope is Scope.SESSION and logout.sid == who.sid
        if event.issuer is not None:
            tombstones += [logout] if is_named and event.issuer == iss else []
        elif event.concerns(who.user):
            tombstones += [logout] if is_named or who.sid in event.sessions else []
            if logout.user is None:
                everyones = supersede(logout, everyones)
            elif logout.scope is not Scope.SESSION:
                own = supersede(logout, own)
    newest = max(tombstones, key=lambda logout: logout.horizon, default=None)
    return RevocationState(now=now, tombstone=newest, cutoffs=(*own, *everyones))
