"""HTTP clients that exceed a limit get 429 with Retry-After, and no others do.

The bound: an address gets as many refusals as HUB_LIMIT_REFUSED says, a session and an
administrator as many answers as theirs; a good token is never limited by its address.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from pathlib import Path

from pydantic import SecretStr

from hub.access.limits import REFUSAL_DELAY
from hub.core.rate import Rate
from tests.feed_reader import GUARD
from tests.realtime.raw import raw_socket
from tests.site import ADMIN, Replica, running, settings, token

FEW = Rate(per_second=0.01, burst=5)


async def answers(hub: Replica, count: int, path: str, given: str | None) -> Counter[int]:
    """Return how many responses had each status."""
    return Counter([(await hub.call("GET", path, given)).status for _ in range(count)])


async def test_an_address_that_guesses_is_limited_and_good_tokens_from_it_are_not() -> None:
    """Good tokens are accepted from an address that guesses."""
    async with running(settings(limit_refused=FEW)) as hub:
        forged = token("ada")[:-4] + "AAAA"
        assert await answers(hub, 20, "/session", forged) == {401: 5, 429: 15}
        limited = await hub.call("GET", "/sessions", forged)
        assert (limited.status, limited.code) == (429, "rate_limited")
        assert int(limited.headers["Retry-After"]) > 1
        assert limited.headers["Connection"] == "close"
        assert await answers(hub, 1, "/session", None) == {429: 1}
        assert await answers(hub, 30, "/verify", token("ada")) == {204: 30}
        assert await answers(hub, 30, "/session", token("grace")) == {200: 30}


async def test_who_asks_as_fast_as_answers_come_is_answered_more_slowly() -> None:
    """Refusals are delayed a little, so that a flood of good calls slows itself down."""
    async with running(settings(limit_calls=FEW)) as hub:
        ada, began, refused = token("ada"), time.monotonic(), 0

        async def ask_on() -> None:
            nonlocal refused
            while time.monotonic() - began < 1:
                answer = await hub.call("GET", "/session", ada)
                refused += answer.status == 429

        await asyncio.gather(*(ask_on() for _ in range(8)))
        assert 8 <= refused <= 8 * (1 + (time.monotonic() - began) / REFUSAL_DELAY)
        assert await answers(hub, 6, "/session", token("grace")) == {200: 5, 429: 1}


async def test_a_proxy_asks_for_everybody_from_one_address() -> None:
    """`/verify` always answers 401 to visitors without a token: nginx turns any other into 500."""
    async with running(settings(limit_refused=FEW)) as hub:
        assert await answers(hub, 20, "/verify", None) == {401: 20}
        assert await answers(hub, 20, "/verify", token("ada")[:-4] + "AAAA") == {401: 20}
        assert await answers(hub, 5, "/session", None) == {401: 5}


async def test_an_accepted_socket_is_no_place_to_guess(tmp_path: Path) -> None:
    """Tokens that `refresh` refuses count as guesses, and are in the audit log."""
    file = tmp_path / "audit.log"
    forged = token("ada", "s1")[:-4] + "AAAA"
    given = settings(limit_refused=FEW, limit_events=None, audit_file=str(file))
    async with running(given) as hub, raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1"))
        codes = Counter[str]()
        for _ in range(10):
            await raw.send("421" + json.dumps(["refresh", {"token": forged}]))
            answer = str(await raw.receive())
            codes[json.loads(answer[3:])[0]["error"]["code"]] += 1
        assert codes == {"token_invalid": 5, "rate_limited": 5}
        assert await answers(hub, 1, "/session", forged) == {429: 1}
        assert await answers(hub, 1, "/session", token("ada", "s1")) == {200: 1}
    noted = [json.loads(line) for line in file.read_bytes().splitlines()]
    (refused,) = [one["facts"] for one in noted if one["event"] == "refused"]
    assert refused == {"code": "token_invalid", "address": "127.0.0.1", "count": 11}


async def test_tokens_that_were_good_once_are_no_guesses() -> None:
    """Tokens that expired or were revoked do not count as guesses."""
    async with running(settings(limit_refused=FEW)) as hub:
        old, ended = token("ada", lifetime=0.001), token("grace")
        await hub.call("POST", "/logout", ended)
        assert await answers(hub, 20, "/session", old) == {401: 20}
        assert await answers(hub, 20, "/session", ended) == {401: 20}


async def test_trusted_proxies_are_seen_through() -> None:
    """The limit applies to the client behind the proxy, and an IPv6 /64 counts as one."""
    trusted = settings(limit_refused=FEW, trusted_proxies=("127.0.0.1",))
    async with running(trusted) as hub:

        async def knock(address: str) -> int:
            return (await hub.call("GET", "/session", headers={"X-Forwarded-For": address})).status

        statuses = [await knock("2001:db8::1") for _ in range(5)]
        assert statuses == [401] * 5
        assert await knock("2001:db8::2") == 429
        assert await knock("2001:db8:0:1::1") == 401
        assert await knock("192.0.2.1") == 401


async def test_a_session_has_a_limit_of_its_own_and_verify_has_none() -> None:
    """Calls are limited by session, except those of `/verify`, which a proxy makes."""
    async with running(settings(limit_calls=FEW)) as hub:
        mine, other = token("ada", "s1"), token("ada", "s2")
        assert await answers(hub, 9, "/session", mine) == {200: 5, 429: 4}
        assert await answers(hub, 30, "/verify", mine) == {204: 30}
        assert await answers(hub, 3, "/sessions", other) == {200: 3}
        refused = await hub.call("POST", "/logout", mine)
        assert (refused.status, refused.code) == (429, "rate_limited")
        assert (await hub.call("GET", "/verify", mine)).status == 204


async def test_an_administrators_credential_has_a_limit() -> None:
    """A script that exceeds its credential's limit does not stop other administrators."""
    async with running(settings(limit_admin=FEW)) as hub:
        path = "/admin/users/ada/sessions"
        assert await answers(hub, 8, path, ADMIN) == {200: 5, 429: 3}
        judge = token("judge", scope="hub:admin")
        assert await answers(hub, 3, path, judge) == {200: 3}


async def test_limits_are_counted_by_kind() -> None:
    """The metrics say which limit was reached, and not by whom."""
    async with running(settings(limit_refused=FEW)) as hub:
        await answers(hub, 8, "/session", None)
        page = (await hub.call("GET", "/metrics")).body
        assert 'hub_limited_total{kind="refused"} 3.0' in page


async def test_metrics_and_readiness_cost_the_same_however_often_they_are_asked_for() -> None:
    """Both are computed at most once a second."""
    async with running(settings()) as hub:
        pages = {(await hub.call("GET", "/metrics")).body for _ in range(50)}
        assert len(pages) <= 5
        assert await answers(hub, 50, "/readyz", None) == {200: 50}


async def test_nobody_fills_the_audit_log(tmp_path: Path) -> None:
    """Calls beyond a credential's limit, and those of guards, are only counted there."""
    file = tmp_path / "audit.log"
    given = settings(limit_admin=FEW, guard_token=SecretStr(GUARD), audit_file=str(file))
    async with running(given) as hub:
        assert await answers(hub, 20, "/admin/users/ada/sessions", ADMIN) == {200: 5, 429: 15}
        for _ in range(20):
            assert (await hub.call("HEAD", "/revocations", GUARD)).status == 200
    noted = [json.loads(line) for line in file.read_bytes().splitlines()]
    events = Counter(one["event"] for one in noted)
    assert events == {
        "start": 1, "admin": 5, "refused": 1, "guard": 1, "stop": 1,
    }  # fmt: skip
    facts = {one["event"]: one["facts"] for one in noted}
    assert facts["refused"] == {"code": "rate_limited", "address": "127.0.0.1", "count": 15}
    assert facts["guard"] == {"code": "200", "address": "127.0.0.1", "count": 20}
