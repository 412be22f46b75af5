"""Orders: which logouts are asked for, and in which words."""

from __future__ import annotations

import random
from typing import Any

from tests.faults.cluster import ADMIN
from tests.faults.history import Logout, Token
from tests.faults.tokens import sign

KINDS = {
    "http all": 20,
    "http others": 12,
    "http session": 8,
    "http named session": 8,
    "delete session": 6,
    "socket all": 12,
    "socket others": 8,
    "socket session": 6,
    "admin user": 10,
    "admin session": 5,
    "admin others": 3,
    "admin users": 5,
    "admin everyone": 0.6,
    "signal sid": 8,
    "signal sub": 7,
    "signal sub and sid": 8,
    "signal user event": 8,
    "signal user session event": 6,
    "signal session event": 5,
}
"""How often each is asked for: by whom or over what, and what for."""
LATE = 3.0
"""Seconds after which a signal is sent, at the most, of what it reports."""
WHOLE_SECONDS = 0.4
"""The part of the signals that state a time without a fraction."""


def choose(
    chance: random.Random,
    user: str,
    others: list[str],
    sids: list[str],
    own: str | None,
    now: float,
) -> Logout | None:
    """Return a logout of a user with these sessions; None when it cannot be asked for now.

    ``own`` is the session of the device that asks, None when none is connected; then only an
    administrator can, and the issuer. ``others`` are users whom a logout of several ends as well.
    ``now`` is the Unix time.
    """
    kind = chance.choices([*KINDS], [*KINDS.values()])[0]
    key = f"key-{chance.getrandbits(80):x}"
    how, _, what = kind.partition(" ")
    if not sids or (own is None and how not in ("admin", "signal")):
        return None
    if how == "signal":
        happened = _happened(chance, kind, now)
        return _signal(key, kind, user, chance.choice(sids), happened)
    if how == "admin":
        return _admin_logout(key, kind, what, user, others, chance.choice(sids))
    if what == "all":
        return Logout(key, kind, (user,), "all", None, own)
    if what == "others":
        return Logout(key, kind, (user,), "others", own, own)
    ended = chance.choice(sids) if what == "named session" or how == "delete" else own
    return Logout(key, kind, (user,), "session", ended, own)


def _happened(chance: random.Random, kind: str, now: float) -> float:
    """Return the time that a signal states; that of a logout token is when it is issued."""
    at = now - (chance.uniform(0.0, LATE) if kind.endswith("event") else 0.0)
    return float(int(at)) if chance.random() < WHOLE_SECONDS else round(at, 6)


def _signal(key: str, kind: str, user: str, sid: str, happened: float) -> Logout:
    match kind:
        case "signal sub" | "signal user event":
            return Logout(key, kind, (user,), "all", happened=happened)
        case "signal sub and sid":
            # It ends its session as of when it is written, as an administrator does.
            return Logout(key, kind, (user,), "session", sid)
    return Logout(key, kind, (user,), "session", sid, happened=happened)


def _admin_logout(key: str, kind: str, what: str, user: str, others: list[str], sid: str) -> Logout:
    match what:
        case "everyone":
            return Logout(key, kind, None, "all")
        case "users":
            return Logout(key, kind, (user, *others), "all")
        case "session" | "others":
            return Logout(key, kind, (user,), what, sid)
    return Logout(key, kind, (user,), "all")


def request_of(logout: Logout, token: Token | None) -> tuple[str, str, str, dict[str, Any]]:
    """Return the method, path, bearer and body that ask for a logout over HTTP."""
    if logout.how.startswith("admin"):
        return "POST", "/admin/logout", ADMIN, _admin_body(logout)
    assert token is not None
    if logout.how.startswith("delete"):
        return "DELETE", f"/sessions/{logout.sid}", sign(token), {}
    return "POST", "/logout", sign(token), own_body(logout)


def own_body(logout: Logout) -> dict[str, Any]:
    """Return the body of a person's own logout, the same for HTTP and for the socket event."""
    body: dict[str, Any] = {"scope": logout.scope}
    if logout.scope == "session" and logout.sid != logout.caller:
        body["sid"] = logout.sid
    return body


def _admin_body(logout: Logout) -> dict[str, Any]:
    body: dict[str, Any] = {"reason": "admin"}
    if logout.users is None:
        return {**body, "everyone": True}
    if len(logout.users) > 1:
        return {**body, "users": list(logout.users)}
    body |= {"user": logout.users[0], "scope": logout.scope}
    return body if logout.sid is None else {**body, "sid": logout.sid}
