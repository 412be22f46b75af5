"""What is said of a token whose key may be a new one of its issuer, while that cannot be known."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest

from hub.core import key_schedule
from hub.core.key_schedule import COOL_DOWN, FAILED_COOL_DOWN
from hub.core.rate import Rate
from tests.api.test_backchannel import Rotating, once_available
from tests.api.test_global_revocation import HUB, assertion, revoke_all
from tests.oauth import CLIENTS, introspect, revoke
from tests.realtime.raw import raw_socket
from tests.signals_site import LOGOUT_AUDIENCE, access_token, is_alive, issuer_settings, send_token
from tests.signals_table import Case, logout_token
from tests.site import Answer, Replica, running

MEMBERS = f'{LOGOUT_AUDIENCE}revocation_audience = "{HUB}"\n'
FEW = Rate(0.001, 3)


class Issuer(Rotating):
    """An issuer that begins to sign with a new key, and whose key set may be out of order."""

    is_out_of_order = False

    def jwks(self) -> dict[str, Any]:
        """Return what is published."""
        return {} if self.is_out_of_order else super().jwks()

    def rename(self, token: str) -> str:
        """Return a token with the same claims, signed by the key as it is called now."""
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
        named = {"kid": self.kid, "typ": header["typ"]}
        return jwt.encode(claims, self.keys["RS256"], "RS256", named)


@contextlib.asynccontextmanager
async def uncertain(folder: Path, why: str, **more: Any) -> AsyncIterator[tuple[Replica, Issuer]]:
    """Run a hub that has an issuer's keys, but not the one that it signs with now."""
    issuer = Issuer()
    async with (
        issuer_settings(folder, issuer, MEMBERS, clients=CLIENTS, **more) as given,
        running(given) as hub,
    ):
        assert await is_alive(hub, access_token(issuer, "ada", "s1"))
        if why == "somebody has made up a key":
            issuer.kid = "made up"
            made_up = issuer.rename(access_token(issuer))
            issuer.kid = "RS256"
            assert (await hub.call("GET", "/verify", made_up)).status == 401
        else:
            issuer.is_out_of_order = True
        issuer.kid = "a new one"
        yield hub, issuer


WAYS = {"somebody has made up a key": COOL_DOWN, "the issuer fails": FAILED_COOL_DOWN}


def is_temporary(answer: Answer, most: float) -> bool:
    """Return whether an answer says when to try again, in so many seconds at most."""
    assert answer.status == 503, answer.body
    return 0 < int(answer.headers["Retry-After"]) <= most


@pytest.mark.parametrize("why", WAYS)
async def test_a_logout_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """Whoever reports it is not told that it is refused, and ends the session in the end."""
    async with uncertain(tmp_path, why) as (hub, issuer):
        mine = access_token(issuer, "ada", "s1")
        case = Case("", None, header={"kid": issuer.kid})
        logout = logout_token(case, issuer, time.time(), sub="ada", sid="s1")
        revoking = issuer.rename(assertion(issuer))
        for send in (partial(send_token, hub, logout), partial(revoke_all, hub, revoking)):
            for _ in range(2):
                assert is_temporary(await send(), WAYS[why])
        assert await is_alive(hub, mine)
        issuer.is_out_of_order = False
        for name in ("COOL_DOWN", "FAILED_COOL_DOWN"):
            monkeypatch.setattr(key_schedule, name, 0.0)
        assert (await once_available(partial(send_token, hub, logout))).status == 200
        assert not await is_alive(hub, mine)
        assert (await once_available(partial(revoke_all, hub, revoking))).status == 204


@pytest.mark.parametrize("why", WAYS)
async def test_an_access_token_is_not_called_dead(tmp_path: Path, why: str) -> None:
    """Neither inactive nor revoked: the hub will accept it once it has fetched the key."""
    async with uncertain(tmp_path, why) as (hub, issuer):
        token = issuer.rename(access_token(issuer, "ada", "s2"))
        for ask in (introspect, revoke):
            answer = await ask(hub, token)
            assert is_temporary(answer, WAYS[why])
            assert answer.body["error"] == "temporarily_unavailable"


async def test_nobody_is_logged_out_because_the_issuer_fails(tmp_path: Path) -> None:
    """A token of a new key is unavailable over HTTP and sockets, and accepted afterwards."""
    async with uncertain(tmp_path, "the issuer fails") as (hub, issuer):
        token = issuer.rename(access_token(issuer, "ada", "s2"))
        for path in ("/session", "/verify"):
            assert is_temporary(await hub.call("GET", path, token), FAILED_COOL_DOWN)
        async with raw_socket(hub) as raw:
            refusal = await raw.closing_refusal(await raw.connect(token))
        assert (refusal["data"]["code"], refusal["data"]["retryable"]) == ("unavailable", True)
        issuer.is_out_of_order = False
        await hub.reload()
        assert await is_alive(hub, token)


async def test_made_up_keys_are_guesses_also_while_the_issuer_fails(tmp_path: Path) -> None:
    """They are limited by address over HTTP and sockets; valid tokens of that address are not."""
    async with uncertain(tmp_path, "the issuer fails", limit_refused=FEW) as (hub, issuer):
        good = access_token(issuer, "ada", "s1")
        made_up = issuer.rename(access_token(issuer))
        for _ in range(5):
            assert (await introspect(hub, made_up)).status == 503
            assert (await hub.call("GET", "/verify", made_up)).status == 503
        statuses = [(await send_token(hub, made_up_logout(issuer))).status for _ in range(2)]
        async with raw_socket(hub) as raw:
            await raw.connect(good)
            codes = []
            for _ in range(2):
                await raw.send("421" + json.dumps(["refresh", {"token": made_up}]))
                codes.append(json.loads(str(await raw.receive())[3:])[0]["error"]["code"])
        statuses += [
            (await hub.call("GET", "/session", made_up)).status,
            (await revoke(hub, made_up)).status,
            (await revoke_all(hub, issuer.rename(assertion(issuer)))).status,
        ]
        async with raw_socket(hub) as raw:
            refusal = await raw.closing_refusal(await raw.connect(made_up))
        assert (statuses[:2], codes) == ([503, 503], ["unavailable", "rate_limited"])
        assert (statuses[2:], refusal["data"]["code"]) == ([429] * 3, "rate_limited")
        assert (await hub.call("GET", "/session", good)).status == 200


def made_up_logout(issuer: Issuer) -> str:
    """Return a logout token that names a key which nobody has published."""
    return logout_token(Case("", None, header={"kid": "made up"}), issuer, time.time())
