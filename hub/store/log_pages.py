"""Reads the log of one partition in pages."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import msgspec

from hub.core.model import Micros, Position
from hub.core.position import Log
from hub.store.base import HISTORY_PAGE
from hub.store.names import Names
from hub.store.script import Script
from hub.store.topology import Topology

READ = Script("clock", "read")


class Page(msgspec.Struct, frozen=True):
    """Some entries of a log, each with its fields as Redis returns them.

    ``seen`` describes the log for `hub.core.position.assess`. ``last`` is the id of the last entry
    of the whole log. ``is_end`` if there was no entry after these.
    """

    seen: Log
    last: str
    entries: Sequence[tuple[bytes, list[bytes]]]
    is_end: bool


async def read_page(
    topology: Topology, names: Names, after: Position, sought: Sequence[str], lifetime: Micros
) -> Page:
    """Read the entries after a position; its epoch is "" if none is known yet.

    ``sought`` are the entries that should exist, ``lifetime`` is how long entries are kept.
    """
    epoch, last, there, past, entries, is_end = await topology.call(
        names.partition,
        READ,
        [names.log, names.epoch],
        {
            "known": after.epoch,
            "position": after.entry,
            "fresh": secrets.token_hex(8),
            "most": HISTORY_PAGE,
            "lifetime_ms": lifetime // 1000,
            "sought": sought,
        },
    )
    text = epoch.decode()
    seen = Log(
        epoch=text or None,
        is_lost=text.endswith(" lost"),
        is_recovered=text.endswith(" recovered"),
        has_entry=bool(there),
        is_past=bool(past),
    )
    return Page(seen, last.decode(), entries, bool(is_end))
