"""``/healthz``, ``/readyz`` and ``/metrics``: for operators."""

from __future__ import annotations

import asyncio

from aiohttp import web
from msgspec import UNSET

from hub.api.answers import Ok, Text
from hub.api.services import SERVICES
from hub.api.views import ReadyView, StatusView, UnservedView
from hub.errors import Unavailable


class MetricsText(Text, frozen=True):
    """200 with the metrics, in the format of Prometheus."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"


async def get_healthz(request: web.Request) -> Ok[StatusView]:
    """Answer 200 while the process works.

    Raises:
        Unavailable: if only a restart would help.
    """
    if request.app[SERVICES].process.is_stuck:
        raise Unavailable("the connection to the store is stuck: restart this process")
    return Ok(StatusView("ok"))


async def get_readyz(request: web.Request) -> Ok[ReadyView]:
    """Return whether this replica is ready: the store is writable, and logouts are received.

    At least half of the partitions must be served; the response names the others.
    """
    unserved = await request.app[SERVICES].readiness.check()
    views = [UnservedView(number, reason) for number, reason in sorted(unserved.items())]
    return Ok(ReadyView("ready", views or UNSET))


async def get_metrics(request: web.Request) -> MetricsText:
    """Return the metrics in Prometheus' text format."""
    metrics = request.app[SERVICES].metrics
    return MetricsText(metrics.render(asyncio.get_running_loop().time()).decode())
