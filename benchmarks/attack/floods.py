"""The floods: what a stranger, a user or a neighbour on the Redis can do to a hub.

Each is bounded in count, and the caller bounds it in time. ``rate`` is what the attacker tries to
reach; what it does reach is measured.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.attack import over_http as http
from benchmarks.attack import over_sockets as sockets
from benchmarks.attack.bus import publish
from benchmarks.attack.issuer import bad_event, bad_logout
from benchmarks.attack.target import Target, get
from benchmarks.frames import PING, frame


@dataclass(frozen=True)
class Flood:
    """One flood: its name, what it does and how fast, and the unit in which that is counted.

    With ``has_issuer`` the hub takes the signals of one (`benchmarks.attack.issuer`).
    """

    name: str
    title: str
    rate: str
    unit: str
    run: Callable[[Target], Awaitable[None]]
    prepare: Callable[[Target], Awaitable[None]] | None = None
    has_issuer: bool = False


FULL_SPEED = "as fast as read, 4 sockets"

HELD_BACK = 200
"""Connections of a flood whose answers are held back, beyond a limit."""

FLOODS = (
    Flood("frames", "frames before CONNECT", FULL_SPEED, "MB", sockets.frames_before_connect),
    Flood("packets", "packets on an accepted socket", FULL_SPEED, "MB",
          sockets.accepted(b"", sockets.PONG)),
    Flood("pings", "WebSocket pings on an accepted socket", FULL_SPEED, "MB",
          sockets.accepted(b"", frame(PING, b""))),
    Flood("continuations", "continuation frames on an accepted socket", FULL_SPEED, "MB",
          sockets.accepted(sockets.TEXT_START, sockets.CONTINUED)),
    Flood("zeros", "zeros after `GET /healthz`", "60 times 7.1 MB, 12 at once", "MB", http.zeros),
    Flood("cookies", "16 KB of cookies, no token", "100 a second", "requests",
          http.requests(http.cookies, 100)),
    Flood("forwarded", "a hundred `X-Forwarded-For`, a good token", "20 a second", "requests",
          http.requests(http.forwarded, 20)),
    Flood("metrics", "`GET /metrics`", "300 a second", "requests",
          http.requests(lambda: get("/metrics"), 300), http.fill_metrics),
    Flood("readyz", "`GET /readyz`", "300 a second", "requests",
          http.requests(lambda: get("/readyz"), 300)),
    Flood("openapi", "`GET /openapi.json`", "300 a second", "requests",
          http.requests(lambda: get("/openapi.json"), 300)),
    Flood("forged", "forged tokens at `/verify`", "500 a second", "requests",
          http.requests(http.forged_request, 500)),
    Flood("logout-tokens", "forged logout tokens at `/backchannel-logout`", "500 a second",
          "requests", http.requests(bad_logout, 500, HELD_BACK), has_issuer=True),
    Flood("events", "forged security events at `/events`", "500 a second", "requests",
          http.requests(bad_event, 500, HELD_BACK), has_issuer=True),
    Flood("connects", "forged tokens in CONNECT", "100 a second", "requests", sockets.bad_connects),
    Flood("polled", "65 packets `40` in one polling POST", "50 a second", "requests",
          sockets.polled_connects),
    Flood("silent", "sockets that never send CONNECT", "200 a second", "requests", sockets.silent),
    Flood("slow", "slow headers, slow bodies, answers unread", "500, 250 a second", "connections",
          http.slow),
    Flood("sessions", "`GET /sessions` of a user with 1,000", "64 at once", "requests",
          http.list_sessions, http.register_many),
    Flood("logouts", "a socket that writes logouts", "as fast as answered, 8 in flight",
          "requests", sockets.logouts),
    Flood("bus", "PUBLISH on the hub's channels, true and forged", "2,000 a second", "requests",
          publish),
)  # fmt: skip
