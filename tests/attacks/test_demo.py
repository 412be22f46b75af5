"""The demo behind a proxy: it signs nothing for strangers, with a secret that may be a real one.

The bound: whatever a request asks of the demo, it is answered only when it names this machine and
no proxy shows; else 403 ``forbidden``. A proxy that hides itself altogether is not told from a
person at this machine, so the demo never signs with the operator's own secret: what it signs, no
other app and no other hub takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from hub.app import create_app
from hub.settings import SettingsError
from tests.ports import free_port
from tests.site import Replica, running, settings, token

ROUTES = [
    ("GET", "/"),
    ("GET", "/demo.css"),
    ("GET", "/demo.js"),
    ("POST", "/demo/token"),
    ("GET", "/demo/login"),
]
PASSED_ON = [
    {"X-Forwarded-For": "203.0.113.7"},
    {"x-forwarded-for": ""},
    {"X-Forwarded-Host": "demo.example"},
    {"X-Forwarded-Proto": "https"},
    {"Forwarded": "for=203.0.113.7"},
    {"X-Real-IP": "203.0.113.7"},
    {"Via": "1.1 proxy"},
    {"Host": "demo.example"},
    {"Host": "demo.example:8080"},
    {"Host": "203.0.113.7"},
    {"Host": "localhost.demo.example"},
    {"Host": "127.0.0.1.demo.example"},
]


@pytest.fixture
async def hub() -> AsyncIterator[Replica]:
    """The demo with a secret that its operator set."""
    async with running(settings(port=free_port()), demo=True) as replica:
        yield replica


@pytest.mark.parametrize("headers", PASSED_ON, ids=str)
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_what_a_proxy_passed_on_is_refused(
    hub: Replica, method: str, path: str, headers: dict[str, str]
) -> None:
    """No route of the demo answers a request that came through a proxy."""
    body = {"user": "ada"} if method == "POST" else None
    answer = await hub.call(method, path, json=body, headers=headers)
    assert (answer.status, answer.code) == (403, "forbidden")
    assert answer.body["detail"]
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
async def test_this_machine_gets_the_demo(hub: Replica, name: str) -> None:
    """The demo answers under each name of this machine, with any port."""
    headers = {"Host": f"{name}:{hub.port}"}
    assert (await hub.call("GET", "/", headers=headers)).status == 200
    answer = await hub.call("POST", "/demo/token", json={"user": "ada"}, headers=headers)
    assert answer.status == 200
    assert (await hub.call("GET", "/verify", answer.body["token"])).status == 204
    login = await hub.call("GET", "/demo/login", headers=headers)
    assert (login.status, login.headers["Location"]) == (303, "/devices")


async def test_a_proxy_that_sets_nothing_is_known_by_its_version(hub: Replica) -> None:
    """A plain proxy_pass of nginx is recognized by HTTP/1.0."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    writer.write(
        b"GET /demo/login HTTP/1.0\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n" % hub.port
    )
    answer = await reader.read()
    writer.close()
    assert answer.split(b"\r\n")[0].split(b" ")[1] == b"403"
    assert b"set-cookie" not in answer.lower()


async def test_the_operators_secret_signs_nothing(hub: Replica) -> None:
    """The demo signs with a secret of its own, which its replicas share; it accepts both."""
    minted = (await hub.call("POST", "/demo/token", json={"user": "ada"})).body["token"]
    async with running(settings()) as other:
        assert (await other.call("GET", "/verify", minted)).status == 401
    async with running(settings(port=free_port()), demo=True) as twin:
        assert (await twin.call("GET", "/verify", minted)).status == 204
        assert (await twin.call("GET", "/verify", token("ada"))).status == 204


async def test_the_demo_and_a_rotation_do_not_go_together() -> None:
    """There may be two secrets, of which the demo needs one: with two set, it will not start."""
    given = settings(jwt_secret_previous=SecretStr("the one before, long enough to be one"))
    with pytest.raises(SettingsError, match="HUB_JWT_SECRET_PREVIOUS"):
        create_app(given, demo=True)


async def test_the_hub_itself_works_behind_a_proxy(hub: Replica) -> None:
    """The restriction is for the demo's routes only; all others work behind a proxy."""
    headers = {"X-Forwarded-For": "203.0.113.7"}
    assert (await hub.call("GET", "/verify", token("ada"), headers=headers)).status == 204
