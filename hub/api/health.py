"""``/healthz``, ``/readyz`` and ``/metrics``: for those who run the hub."""

from __future__ import annotations

import asyncio

from aiohttp import web
from msgspec import UNSET

from hub.api.parts import PARTS
from hub.api.problem import render
from hub.api.views import ReadyView, StatusView, UnservedView
from hub.errors import Unavailable


async def get_healthz(request: web.Request) -> web.Response:
    """Say that the process answers, and that a restart would not help it."""
    if request.app[PARTS].vitals.is_stuck:
        raise Unavailable("the connection to the store is stuck: restart this process")
    return render(StatusView("ok"))


async def get_readyz(request: web.Request) -> web.Response:
    """Say whether this replica can do its work: the store is writable, logouts are heard.

    For half of the partitions at least; which of them are not served is named.
    """
    unserved = await request.app[PARTS].readiness.check()
    views = [UnservedView(number, reason) for number, reason in sorted(unserved.items())]
    return render(ReadyView("ready", views or UNSET))


async def get_metrics(request: web.Request) -> web.Response:
    """Return the counters in Prometheus' text format."""
    return web.Response(
        body=request.app[PARTS].metrics.render(asyncio.get_running_loop().time()),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )
