"""Sockets that connect and close leave nothing behind."""

from __future__ import annotations

from tests.realtime.soak import soak


async def test_sockets_that_come_and_go_leave_nothing_behind() -> None:
    """However they end, no file, no task and no growing number of objects stays."""
    before, after = await soak(sockets=1800, warm=600)
    assert after.files <= before.files + 3
    assert after.tasks <= before.tasks + 2
    assert after.objects - before.objects < 1800
