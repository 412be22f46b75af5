"""So many sockets, attempts and events and no more; and good tokens are never in the way.

The bounds: ``HUB_LIMIT_PENDING`` transports without CONNECT an address, each with a second's fair
chance, ``HUB_LIMIT_PENDING_TOTAL`` in all; ``HUB_LIMIT_REFUSED`` refused or unanswered attempts an
address; ``HUB_LIMIT_SOCKETS_SESSION`` and ``_USER`` sockets; ``HUB_LIMIT_EVENTS`` events a socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from structlog.testing import capture_logs

from hub.core.rate import Rate
from tests.attacks.flooded import bare_socket
from tests.realtime.raw import eventually, raw_socket
from tests.realtime.test_sockets import metric
from tests.site import Replica, running, settings, token

FORGED = token("ada").rpartition(".")[0] + ".c2lnbmF0dXJl"
COMPANY = 600


Open: TypeAlias = Callable[..., Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@pytest.fixture
async def bare() -> AsyncIterator[Open]:
    """Opens sockets by hand, as `bare_socket` does, and closes them at the end."""
    writers = []

    async def open_one(*args: Any, **kwargs: Any) -> Any:
        opened = await bare_socket(*args, **kwargs)
        writers.append(opened[1])
        return opened

    yield open_one
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def hub_with(**limits: Any) -> AsyncIterator[Replica]:
    """Run a hub with these limits, behind a proxy on this machine that it trusts."""
    given = settings(trusted_proxies=("127.0.0.0/8",), **limits)
    async with running(given) as hub:
        yield hub


async def limited(hub: Replica, kind: str) -> float:
    """Return how often a limit was met."""
    return await metric(hub, f'hub_limited_total{{kind="{kind}"}}')


async def test_a_whole_company_comes_back_from_one_address_at_once(bare: Open) -> None:
    """Hundreds of good tokens from one address are accepted, beside strangers' sockets."""
    async with hub_with(limit_pending=20, limit_refused=Rate(1, 1)) as hub:
        strangers = [await bare(hub) for _ in range(30)]
        sockets = await asyncio.gather(
            *(bare(hub, token(f"u{number}", "s")) for number in range(COMPANY))
        )
        assert await metric(hub, "hub_sockets") == COMPANY
        for _, writer in (*strangers, *sockets):
            writer.transport.abort()

        async def nobody_is_left() -> bool:
            return await metric(hub, "hub_sockets") == 0

        await eventually(nobody_is_left)


async def test_of_too_many_silent_transports_the_oldest_give_way(bare: Open) -> None:
    """The oldest are closed after a fair chance; the newest stay until the CONNECT timeout."""
    async with hub_with(limit_pending=10, connect_timeout=30) as hub:
        silent = [await bare(hub) for _ in range(30)]
        other = await bare(hub, more="X-Forwarded-For: 192.0.2.1\r\n")
        ends = [asyncio.create_task(reader.read()) for reader, _ in silent]
        await asyncio.sleep(0.3)
        assert not any(end.done() for end in ends)

        async def is_thinned_out() -> bool:
            return await limited(hub, "pending") == 20

        await eventually(is_thinned_out)
        await eventually(lambda: all(end.done() for end in ends[:20]))
        assert not any(end.done() for end in ends[20:])
        assert not other[0].at_eof()
        for _, writer in (*silent, other):
            writer.transport.abort()
        await asyncio.gather(*ends, return_exceptions=True)


async def test_an_address_with_accepted_sockets_has_room_for_as_many_more(bare: Open) -> None:
    """An address with accepted sockets may have as many more without CONNECT."""
    async with hub_with(limit_pending=5, connect_timeout=30) as hub:
        sockets = [await bare(hub, token(f"u{number}")) for number in range(5)]
        silent = [await bare(hub) for _ in range(10)]
        await asyncio.sleep(2)
        assert await limited(hub, "pending") == 0
        for _, writer in (*sockets, *silent):
            writer.transport.abort()


async def test_over_all_addresses_the_fullest_gives_way(bare: Open) -> None:
    """Many addresses together cannot fill the hub, and a newcomer is still admitted."""
    async with hub_with(limit_pending_total=30, connect_timeout=30) as hub:
        crowd = [
            await bare(hub, more=f"X-Forwarded-For: 2001:db8:0:{number % 10}::1\r\n")
            for number in range(30)
        ]
        await asyncio.sleep(2)
        for number in range(20):
            await bare(hub, more=f"X-Forwarded-For: 192.0.2.{number}\r\n")
        await bare(hub, token("ada"))
        await asyncio.sleep(0.1)
        assert await limited(hub, "pending_total") == 21
        for _, writer in crowd:
            writer.transport.abort()


async def test_who_guesses_too_often_is_told_to_wait_and_a_good_token_is_not() -> None:
    """Forged tokens and missing CONNECTs share a limit by address, also with HTTP."""
    async with hub_with(limit_refused=Rate(0.1, 4)) as hub:
        codes = []
        for _ in range(3):
            async with raw_socket(hub) as raw:
                codes.append((await raw.closing_refusal(await raw.connect(FORGED)))["message"])
        async with raw_socket(hub):
            pass  # went away without a word

        async def is_counted() -> bool:
            return (await hub.call("GET", "/session", FORGED)).status == 429

        await eventually(is_counted)
        async with raw_socket(hub) as raw:
            refusal = await raw.closing_refusal(await raw.connect(FORGED))
        assert codes == ["token_invalid"] * 3
        assert refusal["message"] == "rate_limited"
        assert refusal["data"]["retryable"] is True
        assert 0 < refusal["data"]["retry_after"] <= 10
        async with raw_socket(hub) as raw:
            assert str(await raw.connect(token("ada"))).startswith("40{")
        elsewhere = {"X-Forwarded-For": "192.0.2.7"}
        async with raw_socket(hub, headers=elsewhere) as raw:
            refusal = await raw.closing_refusal(await raw.connect(FORGED))
        assert refusal["message"] == "token_invalid"


@pytest.mark.parametrize("which", ["session", "user"])
async def test_a_session_and_a_user_have_so_many_sockets(bare: Open, which: str) -> None:
    """One more is refused until one is closed; other sessions and users are not affected."""
    mine = [token("ada", "s" if which == "session" else f"s{number}") for number in range(4)]
    async with hub_with(**{f"limit_sockets_{which}": 3}) as hub:
        sockets = [await bare(hub, each) for each in mine[:3]]
        async with raw_socket(hub) as raw:
            refusal = await raw.closing_refusal(await raw.connect(mine[3]))
        assert (refusal["message"], refusal["data"]["retry_after"]) == ("rate_limited", 10)
        assert await limited(hub, f"sockets_{which}") == 1
        async with raw_socket(hub) as raw:
            assert str(await raw.connect(token("grace", "s"))).startswith("40{")
        sockets[0][1].transport.abort()

        async def is_accepted() -> bool:
            async with raw_socket(hub) as raw:
                return str(await raw.connect(mine[3])).startswith("40{")

        await eventually(is_accepted)
        for _, writer in sockets:
            writer.transport.abort()


@pytest.mark.parametrize("event", ['["logout",{"scope":"planet"}]', '["nothing"]', '["refresh"]'])
async def test_too_many_events_are_answered_and_then_the_socket_is_closed(event: str) -> None:
    """This holds for any event; the session lives, and may connect again."""
    async with hub_with(limit_events=Rate(1, 5)) as hub:
        async with raw_socket(hub) as raw:
            await raw.connect(token("ada", "s"))
            for number in range(10):
                with contextlib.suppress(ConnectionError):
                    await raw.send(f"42{number}{event}")
            answers = [frame for frame in await raw.receive_all() if frame.startswith("43")]
            assert raw.websocket.close_code == 1008
        codes = [json.loads(frame[3:])[0]["error"]["code"] for frame in answers]
        assert "rate_limited" not in codes[:5]
        assert codes[5:] == ["rate_limited"] * (len(codes) - 5)
        assert len(codes) > 5
        assert await limited(hub, "events") == len(codes) - 5
        assert (await hub.call("GET", "/verify", token("ada", "s"))).status == 204


async def test_a_token_over_the_limit_is_refused_alike() -> None:
    """Sockets refuse a token that is too long with the code and detail of HTTP."""
    long = "x" * 9000
    async with hub_with() as hub:
        answer = await hub.call("GET", "/session", long)
        async with raw_socket(hub) as raw:
            refusal = await raw.closing_refusal(await raw.connect(long))
    told = refusal["data"]
    assert (told["code"], told["detail"]) == (answer.body["code"], answer.body["detail"])


async def test_garbage_is_counted_and_not_written_down_line_by_line() -> None:
    """Fifty sockets that send garbage cause one line a minute in the log."""
    with capture_logs() as lines:
        async with hub_with() as hub:
            for _ in range(50):
                async with raw_socket(hub) as raw:
                    await raw.connect(token("ada"))
                    await raw.send("4x")
                    await raw.receive_all()
            assert await limited(hub, "packets") == 50
    assert len([line for line in lines if line["event"] == "limited"]) <= 2
    assert len(lines) <= 4, lines
