"""The second listener: what is for operators is on it, and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Any

import aiohttp
import pytest
from aiohttp.web import TCPSite

from hub.api.services import SERVICES
from hub.app import CannotListen, create_app, serve
from hub.console import operators_address
from hub.environment import load_settings
from tests.ports import free_port
from tests.site import ADMIN, running, settings, token

OPERATORS = ("/metrics", "/readyz", "/admin/users/ada/sessions")
BOTH = ("/healthz", "/openapi.json", "/.well-known/logout-hub", "/.well-known/jwks.json")
PUBLIC = ("/session", "/verify", "/client.js", "/signed-out", "/socket.io/?EIO=4&transport=polling")


async def statuses(port: int, paths: tuple[str, ...]) -> set[int]:
    """Return how a port answers to these paths, asked with good credentials."""
    found = set()
    async with aiohttp.ClientSession() as http:
        for path in paths:
            bearer = ADMIN if path.startswith("/admin") else token("ada")
            headers = {"Authorization": f"Bearer {bearer}"}
            async with http.get(f"http://127.0.0.1:{port}{path}", headers=headers) as answer:
                found.add(answer.status)
    return found


async def test_operators_have_a_listener_of_their_own() -> None:
    """What is for them is not found on the public one, nor the public's on theirs."""
    async with running(settings(admin_port=0)) as hub:
        (admin,) = hub.app[SERVICES].admin_ports
        assert await statuses(hub.port, OPERATORS) == {404}
        assert await statuses(admin, OPERATORS) == {200}
        assert await statuses(hub.port, BOTH) == {200}
        assert await statuses(admin, BOTH) == {200}
        assert await statuses(admin, PUBLIC) == {404}
        assert await statuses(hub.port, PUBLIC) == {200, 204}


@pytest.mark.parametrize("body", ['{"user": "ada", "reason": "admin"}'])
async def test_a_logout_by_an_administrator_is_not_found_on_the_public_one(body: str) -> None:
    """Not even with the right credentials; its receipt is on both."""
    async with running(settings(admin_port=0)) as hub:
        (admin,) = hub.app[SERVICES].admin_ports
        refused = await hub.call("POST", "/admin/logout", ADMIN, data=body)
        assert (refused.status, refused.code) == (404, "not_found")
        done = await hub.beside(admin).call("POST", "/admin/logout", ADMIN, data=body)
        assert done.status == 200
        for side in (hub, hub.beside(admin)):
            assert (await side.call("GET", f"/logouts/{done.body['id']}", ADMIN)).status == 200


async def test_without_a_second_listener_all_is_on_one() -> None:
    """As for a laptop, or behind a proxy that tells them apart."""
    async with running(settings()) as hub:
        assert await statuses(hub.port, OPERATORS + BOTH) == {200}


async def test_operators_have_it_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is for them is not found on the public one either while theirs is being opened."""
    port, seen = free_port(), set[int]()
    start = TCPSite.start

    async def ask_and_start(site: TCPSite) -> None:
        with contextlib.suppress(aiohttp.ClientConnectorError):
            seen.update(await statuses(port, OPERATORS))
        await start(site)

    monkeypatch.setattr(TCPSite, "start", ask_and_start)
    async with running(settings(port=port, admin_port=0)):
        assert 200 not in seen


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is an address on Linux only")
async def test_a_public_name_of_two_addresses_is_public_on_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As ``localhost`` has one of each protocol."""
    loop, port = asyncio.get_running_loop(), free_port()
    look_up = loop.getaddrinfo

    async def find(host: str, *given: Any, **named: Any) -> Any:
        names = ("127.0.0.1", "127.0.0.2") if host == "both.example" else (host,)
        return [one for name in names for one in await look_up(name, *given, **named)]

    monkeypatch.setattr(loop, "getaddrinfo", find)
    app = create_app(settings(admin_port=0, admin_host="127.0.0.1"))
    async with serve(app, "both.example", port):
        assert port not in app[SERVICES].admin_ports
        assert await statuses(port, OPERATORS) == {404}
        assert await statuses(port, PUBLIC) == {200, 204}


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is an address on Linux only")
async def test_a_public_port_is_never_the_operators_on_another_address() -> None:
    """A hub does not serve what it could not tell apart, though the system would let it listen."""
    port = free_port()
    app = create_app(settings(admin_port=port, admin_host="127.0.0.2"))
    with pytest.raises(CannotListen, match="same port"):
        async with serve(app, "127.0.0.1", port):
            pass


def test_commands_find_the_operators_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same settings as the hub, no address needs to be given."""
    monkeypatch.setenv("HUB_ADMIN_PORT", "9099")
    assert operators_address(load_settings()) == "http://127.0.0.1:9099"
    monkeypatch.delenv("HUB_ADMIN_PORT")
    assert operators_address(load_settings({"port": "8123"})) == "http://127.0.0.1:8123"
