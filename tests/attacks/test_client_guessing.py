"""Guesses of clients' secrets. The bound: HUB_LIMIT_REFUSED for each address, and no hint.

An answer is the same for a client that there is and one that there is not; secrets stand in no log.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import structlog

from hub.core.rate import Rate
from tests.oauth import BANK, BANK_SECRET, CLIENTS, basic, introspect, revoke
from tests.site import Replica, running, settings, token

FEW = Rate(per_second=0.01, burst=5)


async def guesses(hub: Replica, count: int, path: str = "/introspect") -> Counter[int]:
    """Return how often each status was answered to guesses at a client's secret."""
    form, found = {"token": "x"}, Counter[int]()
    for number in range(count):
        headers = basic(BANK, f"guess {number}")
        found[(await hub.call("POST", path, data=form, headers=headers)).status] += 1
    return found


@pytest.mark.parametrize("path", ["/introspect", "/revoke"])
async def test_an_address_that_guesses_is_limited_and_the_client_is_not(path: str) -> None:
    """The client itself is still served, even from the same address."""
    async with running(settings(clients=CLIENTS, limit_refused=FEW)) as hub:
        assert await guesses(hub, 12, path) == {401: 5, 429: 7}
        assert (await introspect(hub, token("ada"))).body["active"] is True


async def test_an_answer_does_not_tell_which_clients_there_are() -> None:
    """An unknown client and a wrong secret get the same answer, by header and by form."""
    async with running(settings(clients=CLIENTS)) as hub:
        told = set()
        for client in (BANK, "nobody"):
            for given in (
                {"headers": basic(client, "wrong")},
                {"data": {"token": "x", "client_id": client, "client_secret": "wrong"}},
            ):
                sent = {"data": {"token": "x"}, **given}
                answer = await hub.call("POST", "/introspect", **sent)  # type: ignore[arg-type]
                told.add((answer.status, json.dumps(answer.body)))
        assert len(told) == 1


async def test_guesses_at_tokens_are_limited_though_they_are_answered() -> None:
    """A stranger's forged tokens at `/revoke` are limited by address; a client's are not."""
    async with running(settings(clients=CLIENTS, limit_refused=FEW)) as hub:
        forged = token("ada")[:-4] + "AAAA"
        found = Counter([(await revoke(hub, forged)).status for _ in range(12)])
        assert found == {200: 5, 429: 7}
        bank = basic(BANK, BANK_SECRET)
        found = Counter([(await revoke(hub, forged, headers=bank)).status for _ in range(12)])
        assert found == {200: 12}
        assert (await revoke(hub, token("ada"))).status == 200


async def test_long_secrets_are_no_work(tmp_path: Path) -> None:
    """A secret of 64 KB is hashed once."""
    file = tmp_path / "audit.log"
    given = settings(clients=CLIENTS, audit_file=str(file))
    with structlog.testing.capture_logs() as lines:
        async with running(given) as hub:
            form = {"token": "x", "client_id": BANK, "client_secret": "guess" * 12_000}
            answer = await hub.call("POST", "/introspect", data=form)
            assert (answer.status, answer.body["error"]) == (401, "invalid_client")
    assert "guess" not in str(lines)
    noted = [json.loads(line) for line in file.read_bytes().splitlines()]
    (refused,) = [one["facts"] for one in noted if one["event"] == "refused"]
    assert refused == {"code": "invalid_client", "address": "127.0.0.1", "count": 1}
