"""Forty stock clients of every kind behind a balancer: a logout, a deploy and a killed replica.

Everybody is told of his logout, and only of his; everybody else is back on a replica that lives.
How long each step took is printed; what is asserted is that it happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import aiohttp
import pytest

from tests.deploy.balancers import Front
from tests.deploy.hubs import Hub
from tests.deploy.test_failover import bearer
from tests.patience import PATIENCE
from tests.realtime.raw import eventually
from tests.site import ADMIN, token
from tests.stock.runtimes import Client, built_java, node_command, python_command, started
from tests.stock.test_matrix import JAVA, JAVASCRIPT, PYTHON, TRANSPORTS

CROWD = 40
USERS = 8
DRAIN_LIMIT = 25.0


def mixed(run: str, kinds: dict[str, str], count: int, first: int) -> list[Client]:
    """Return so many clients of these kinds and of all transports, of one user after the other."""
    pairs = [(module, over) for over in TRANSPORTS for module in kinds.values()]
    made = []
    for number in range(first, first + count):
        module, over = pairs[number % len(pairs)]
        user, sid = f"{run}-{number % USERS}", f"{run}-{number}"
        made.append(Client(f"{number}", module, token(user, sid), TRANSPORTS[over]))
    return made


async def trusting_java(folder: Path, certificate: Path) -> list[str] | None:
    """Return how Java's clients are run that trust a certificate; None where they cannot be."""
    command = await built_java(folder)
    if command is None:
        return None
    store = folder / "trust.p12"
    options = ["-noprompt", "-storepass", "changeit", "-keystore", str(store)]
    await asyncio.to_thread(
        subprocess.run,
        ["keytool", "-importcert", *options, "-file", str(certificate)],
        check=True,
        capture_output=True,
    )
    trust = [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=changeit"]
    return [command[0], *trust, *command[1:]]


async def until(what: str, is_so: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until something is so of the crowd, and print how long that took."""
    began = time.monotonic()
    await eventually(is_so, PATIENCE)
    sys.stdout.write(f"{what}: {time.monotonic() - began:.2f} s\n")


def is_back(client: Client) -> bool:
    """Tell whether a client has reconnected each time it lost its connection."""
    return len(client.all("connected")) > len(client.all("disconnected"))


async def sockets_of(hub: Hub) -> int:
    """Return how many clients a replica holds."""
    async with aiohttp.ClientSession() as http, http.get(f"{hub.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return int(float(next(line for line in lines if line.startswith("hub_sockets ")).split()[1]))


async def all_on(hub: Hub, what: str, staying: Sequence[Client]) -> None:
    """Wait until one replica has all clients, and each client says so too."""

    async def are_there() -> bool:
        return all(map(is_back, staying)) and await sockets_of(hub) == len(staying)

    await until(what, are_there)


async def test_forty_clients_of_all_kinds(
    front: Front, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each is notified once, or reconnects by itself, in every language and transport."""
    for name in (
        "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "WEBSOCKET_CLIENT_CA_BUNDLE"
    ):  # fmt: skip
        monkeypatch.setenv(name, str(front.certificate))
    java = await trusting_java(tmp_path, front.certificate)
    shares = [(python_command(), PYTHON, 12)] + ([(java, JAVA, 4)] if java else [])
    shares.append((node_command(), JAVASCRIPT, CROWD - sum(share for *_, share in shares)))
    crowd: list[Client] = []
    a, b, run = front.hubs.a, front.hubs.b, f"crowd-{secrets.token_hex(4)}"
    async with contextlib.AsyncExitStack() as stack:
        for command, kinds, share in shares:
            some = mixed(run, kinds, share, len(crowd))
            await stack.enter_async_context(started(command, front.url, some))
            crowd += some
        await until("connected", lambda: all(map(is_back, crowd)))
        assert min(await sockets_of(a), await sockets_of(b)) > 0

        async def end(user: int) -> list[Client]:
            mine = [client for client in crowd if int(client.name) % USERS == user]
            body = {"user": f"{run}-{user}", "reason": "admin"}
            async with (
                aiohttp.ClientSession() as http,
                http.post(f"{a.url}/admin/logout", headers=bearer(ADMIN), json=body) as answer,
            ):
                assert answer.status == 200, await answer.text()
            await until(f"user {user} told", lambda: all(c.all("told") for c in mine))
            return [client for client in crowd if not client.all("told")]

        staying = await end(0)
        assert len(staying) == CROWD * (USERS - 1) // USERS
        a.signal(signal.SIGTERM)
        await all_on(b, "back after the deploy", staying)
        assert await asyncio.to_thread(a.wait, DRAIN_LIMIT) == 0
        await asyncio.to_thread(front.hubs.heal)
        staying = await end(1)
        b.kill()
        await all_on(a, "back after the kill", staying)
        for user in range(2, USERS):
            staying = await end(user)
        assert staying == []
    for client in crowd:
        assert client.all("told") == ["admin"], client
        # One whose last poll comes late finds its session gone, and is told so when it asks.
        late = client.all("refused")
        assert late == [{"code": "token_revoked"}] * len(late), client
