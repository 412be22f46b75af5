"""Signals of an issuer whose clock is ahead within the leeway, soon after a login."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import jwt
import pytest
import pytest_asyncio

from hub.api.events import EVENT_TYPE
from hub.api.services import SERVICES
from hub.core.event_types import RISC
from hub.core.global_revocation import ASSERTION_TYPE
from hub.core.refusal import Refusal
from hub.core.signal import Channel
from tests.signals_site import (
    LOGOUT_AUDIENCE,
    access_token,
    is_alive,
    issuer_settings,
    send_logout,
)
from tests.signals_table import CLIENT, ISSUER, Case, Sender, event_token
from tests.site import Answer, Replica, running

SENDER = Sender()
LEEWAY = 60
AHEAD = 40
"""Seconds by which the issuer's clock is ahead of the hub's."""

AUDIENCE = "https://hub.example/global-token-revocation"
MEMBERS = f'{LOGOUT_AUDIENCE}revocation_audience = "{AUDIENCE}"\n'
TRANSMITTER = f"""[[transmitter]]
iss = "{ISSUER}"
aud = "{CLIENT}"
jwks_url = "{{jwks}}"
delivery = "push"
"""

Send: TypeAlias = Callable[[Replica, str, float], Awaitable[Answer]]
"""Sends a signal about a user at a time of the issuer's clock."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Replica]:
    """A hub that takes each kind of signal of an issuer."""
    folder: Path = tmp_path_factory.mktemp("hub")
    async with (
        issuer_settings(
            folder, SENDER, MEMBERS, TRANSMITTER, limit_refused=None, jwt_leeway=LEEWAY
        ) as given,
        running(given) as replica,
    ):
        yield replica


def by_logout_token(*claims: str) -> Send:
    """Return how to send a logout token that has only these of ``sub`` and ``sid``."""

    async def send(hub: Replica, user: str, at: float) -> Answer:
        dropped: dict[str, Any] = {one: ... for one in ("sub", "sid") if one not in claims}
        names = {"sub": user, "sid": f"{user}-1"} | dropped
        case = Case("", None, claims={"iat": int(at), "exp": int(at) + 120, **names})
        return await send_logout(hub, SENDER, case)

    return send


async def by_event(hub: Replica, user: str, at: float) -> Answer:
    """Push an event that happened when it was signed."""
    about = {"format": "iss_sub", "iss": ISSUER, "sub": user}
    claims = {"iat": int(at), "sub_id": about, "events": {RISC + "account-disabled": {}}}
    token = event_token(Case("", None, claims=claims), SENDER, at)
    headers = {"Content-Type": EVENT_TYPE}
    return await hub.call("POST", "/events", data=token.encode(), headers=headers)


async def by_revocation(hub: Replica, user: str, at: float) -> Answer:
    """Ask for global token revocation."""
    claims = {"iss": ISSUER, "aud": AUDIENCE, "jti": user, "iat": int(at), "exp": int(at) + 120}
    header = {"kid": "ES256", "typ": ASSERTION_TYPE}
    assertion = jwt.encode(claims, SENDER.keys["ES256"], "ES256", header)
    body = {"sub_id": {"format": "iss_sub", "iss": ISSUER, "sub": user}}
    return await hub.call("POST", "/global-token-revocation", assertion, json=body)


SENDERS: dict[str, Send] = {
    "sub-and-sid": by_logout_token("sub", "sid"),
    "sub": by_logout_token("sub"),
    "sid": by_logout_token("sid"),
    "event": by_event,
    "revocation": by_revocation,
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", SENDERS)
@pytest.mark.parametrize("is_seen", [False, True], ids=["unseen", "seen"])
@pytest.mark.parametrize("login_claim", ["auth_time", "iat"])
async def test_a_login_of_just_before_ends_and_one_of_after_does_not(
    hub: Replica, name: str, login_claim: str, *, is_seen: bool
) -> None:
    """By the issuer's clock, whether the hub had seen the session, and for good."""
    user = f"{name}-{is_seen}-{login_claim}"
    login = int(time.time()) + AHEAD
    times = {"iat": login, "exp": login + 600, login_claim: login}
    old = access_token(SENDER, user, f"{user}-1", **times)
    later = {claim: at + 8 for claim, at in times.items()}
    # Without a login time, an id that was ended by name stays dead.
    again = f"{user}-{1 if login_claim == 'auth_time' else 2}"
    new = access_token(SENDER, user, again, **later)
    if is_seen:
        assert (await hub.call("GET", "/session", old)).status == 200
    assert 200 <= (await SENDERS[name](hub, user, login + 5)).status < 300
    assert [await is_alive(hub, token) for token in (old, new)] == [False, True]
    refusal = await hub.call("GET", "/session", old)
    assert refusal.code in ("token_revoked", "login_required")


def refused(hub: Replica, channel: Channel) -> float:
    """Return how many signals were refused because they are from the future."""
    labels: dict[str, str] = {"channel": channel, "reason": Refusal.FUTURE}
    registry = hub.app[SERVICES].metrics.registry
    return registry.get_sample_value("hub_signals_refused_total", labels) or 0.0


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", SENDERS)
async def test_a_signal_further_ahead_is_to_be_sent_again(hub: Replica, name: str) -> None:
    """It is 503 with the time to wait, ends nothing until then, and operators can see it."""
    user = f"early-{name}"
    token = access_token(SENDER, user, f"{user}-1")
    channel = {"event": Channel.PUSH, "revocation": Channel.GLOBAL}.get(name, Channel.BACKCHANNEL)
    before = refused(hub, channel)
    answer = await SENDERS[name](hub, user, time.time() + LEEWAY + 15)
    assert answer.status == 503, answer.body
    assert 5 < int(answer.headers["Retry-After"]) <= 15
    assert await is_alive(hub, token)
    assert refused(hub, channel) == before + 1


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", SENDERS)
async def test_a_signal_far_ahead_is_refused_for_good(hub: Replica, name: str) -> None:
    """A clock that wrong will not be right soon."""
    answer = await SENDERS[name](hub, f"far-{name}", time.time() + LEEWAY + 90)
    assert answer.status == (401 if name == "revocation" else 400)
