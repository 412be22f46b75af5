"""Stock clients of many versions, each over each transport, through all that happens to a client.

Each runtime is one process with all its clients, so that the whole matrix takes as long as the
longest of them waits. What is opened is counted by the hub.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
from collections import Counter

import pytest
import pytest_asyncio
from aiohttp import web

from hub.protocol.engineio import CloseReason, State
from hub.realtime import polling
from hub.realtime.engine import Engine, Opening
from hub.realtime.engine_session import EngineSession
from tests.conftest import lacking
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.realtime.raw import eventually
from tests.site import ADMIN, Replica, running, settings, token
from tests.stock.runtimes import (
    Client,
    Runtime,
    built_java,
    node_command,
    python_command,
    started,
)

QUIET = 10.0
"""Seconds for which a client that was refused for good is watched."""

MAX_OPENED = 2
NOTICE_GRACE = 1.0

JAVASCRIPT = {
    "js-4.8": "socket.io-client",
    "js-4.4": "socket.io-client-4.4",
    "js-4.3": "socket.io-client-4.3",
    "js-4.0": "socket.io-client-4.0",
    "js-3.1": "socket.io-client-3.1",
    "js-3.0": "socket.io-client-3.0",
}
PYTHON = {"python-sync": "sync", "python-async": "async"}
JAVA = {"java-2.1": ""}

MSGPACK = "socket.io-msgpack-parser"

TRANSPORTS = {"default": None, "polling": ["polling"], "websocket": ["websocket"]}
EXPECTED = {"refused": (1, 0, 0), "told": (0, 1, 1), "own": (0, 1, 1), "stays": (0, 0, 3)}
"""By fate, how often a client is refused, told of a logout, and connected."""

AWAY = "away"
"""The fate of a client that sleeps while it is logged out, and for longer than the hub waits."""


class Hub:
    """What the hub sees of the clients: what each has opened, and the connections that it has."""

    def __init__(self) -> None:
        self.opened: Counter[str] = Counter()
        self.names: dict[str, str] = {}
        self.polls: dict[str, web.Request] = {}
        self.engine: Engine | None = None

    def holds(self, fate: str) -> bool:
        """Tell whether any client of a fate is connected."""
        assert self.engine is not None
        return any(self.names[session].endswith(fate) for session in self.engine.sessions)

    def cut(self, fate: str) -> None:
        """Cut the connection of each client of a fate, as a network does."""
        assert self.engine is not None
        for session in list(self.engine.sessions.values()):
            if not self.names[session.id].endswith(fate):
                continue
            if session.websocket is not None:
                session.websocket.abort()
            elif session.poll is not None and self.polls[session.id].transport is not None:
                self.polls[session.id].transport.abort()  # type: ignore[union-attr]
                # Some repeat a poll that failed on the quiet, and find the session where it was.
                session.close(CloseReason.TRANSPORT_CLOSED)


def watched(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Watch the engines of hubs in this process."""
    hub = Hub()
    start, wait = Engine._start, polling._wait

    def starting(self: Engine, state: State, opening: Opening) -> EngineSession:
        session = start(self, state, opening)
        hub.engine = self
        name = opening.query.get("client", "")
        hub.opened[name] += 1
        hub.names[session.id] = name
        return session

    async def waiting(request: web.Request, session: EngineSession) -> None:
        hub.polls[session.id] = request
        await wait(request, session)

    monkeypatch.setattr(Engine, "_start", starting)
    monkeypatch.setattr(polling, "_wait", waiting)
    return hub


def made(versions: dict[str, str]) -> list[Client]:
    """Return a client of each version, over each transport, for each fate."""
    return [
        Client(f"{version}/{over}/{fate}", module, token(f"{version}-{over}-{fate}"), transports)
        for version, module in versions.items()
        for over, transports in TRANSPORTS.items()
        for fate in (*EXPECTED, AWAY)
    ]


def made_with_msgpack() -> list[Client]:
    """Return a client of each version in JavaScript, over each transport, with that parser."""
    return [
        Client(f"{version}/{over}/msgpack", module, token("ada"), transports, MSGPACK)
        for version, module in JAVASCRIPT.items()
        for over, transports in TRANSPORTS.items()
    ]


def of(clients: list[Client], fate: str) -> list[Client]:
    """Return the clients of a fate."""
    return [client for client in clients if client.name.endswith(fate)]


async def all_have(clients: list[Client], what: str, count: int = 1) -> None:
    """Wait until each of the clients was told something so often, or ought to have been."""
    with contextlib.suppress(AssertionError):
        await eventually(lambda: all(len(c.all(what)) >= count for c in clients), PATIENCE)


async def log_out(hub: Replica, client: Client) -> None:
    """Log the user of a client out, who is no other's."""
    body = {"user": "-".join(client.name.split("/")), "reason": "admin"}
    assert (await hub.call("POST", "/admin/logout", ADMIN, json=body)).status == 200


async def before_the_deploy(
    hub: Replica, runtimes: list[Runtime], clients: list[Client], seen: Hub
) -> None:
    """Refuse, log out and cut, each client as is its fate."""
    told, own, stays = of(clients, "told"), of(clients, "own"), of(clients, "stays")
    await all_have(of(clients, "refused"), "refused")
    away = of(clients, AWAY)
    await all_have([*told, *own, *stays, *away], "connected")
    for client in told:
        await log_out(hub, client)
    for runtime in runtimes:
        for client in of(runtime.clients, "own"):
            runtime.write(client.name)
    await all_have(own, "answered")
    await all_have([*told, *own], "told")
    await all_have([*told, *own], "disconnected")
    seen.cut("stays")
    await all_have(stays, "connected", 2)
    await sleep_through_a_logout(hub, runtimes, away, seen)


async def sleep_through_a_logout(
    hub: Replica, runtimes: list[Runtime], clients: list[Client], seen: Hub
) -> None:
    """Log clients out while their machines sleep, until the hub has given them up; wake them."""
    for runtime in runtimes:
        runtime.signal(signal.SIGSTOP)
    for client in clients:
        await log_out(hub, client)
    await asyncio.sleep(2 * NOTICE_GRACE)
    for runtime in runtimes:
        runtime.signal(signal.SIGCONT)
    with contextlib.suppress(AssertionError):
        await eventually(lambda: all(map(has_settled, clients)), PATIENCE)
        # Who was refused is let go of a while later, and some clients know only then.
        await eventually(lambda: not seen.holds(AWAY), PATIENCE)


def has_settled(client: Client) -> bool:
    """Tell whether a client that was logged out has no more reason to come back."""
    reasons = [value["reason"] for value in client.all("disconnected")]
    return bool(client.all("refused")) or any("server disconnect" in reason for reason in reasons)


async def live_through(commands: list[tuple[list[str], list[Client]]], seen: Hub) -> None:
    """Let each client meet its fate: two hubs, one after the other, on the same port."""
    port, clients = free_port(), [client for _, some in commands for client in some]
    async with contextlib.AsyncExitStack() as stack:
        given = settings(port=port, notice_grace=NOTICE_GRACE)
        async with running(given) as hub:
            for client in of(clients, "refused"):
                await log_out(hub, client)
            runtimes = [
                await stack.enter_async_context(started(command, hub.url, some))
                for command, some in commands
            ]
            await before_the_deploy(hub, runtimes, clients, seen)
        began = asyncio.get_running_loop().time()
        async with running(settings(port=port)):
            await all_have(of(clients, "stays"), "connected", 3)
            await asyncio.sleep(began + QUIET - asyncio.get_running_loop().time())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Client], Hub]:
    """All clients whose runtime is there, at the end of their lives, and what the hub saw."""
    commands = [(python_command(), made(PYTHON))]
    if shutil.which("node") is not None:
        commands.append((node_command(), [*made(JAVASCRIPT), *made_with_msgpack()]))
    java = await built_java(tmp_path_factory.mktemp("java"))
    if java is not None:
        commands.append((java, made(JAVA)))
    with pytest.MonkeyPatch.context() as monkeypatch:
        seen = watched(monkeypatch)
        await live_through(commands, seen)
    return {client.name: client for _, clients in commands for client in clients}, seen


def client_of(clients: dict[str, Client], version: str, over: str, fate: str) -> Client:
    """Return one of the clients; its runtime must be there, but for Java's."""
    client = clients.get(f"{version}/{over}/{fate}")
    if client is None:
        if version in JAVA:
            pytest.skip("a JVM, or Maven and what it fetches, is missing")
        lacking("node")
    assert client is not None
    return client


def missed_disconnect(client: Client) -> bool:
    """Tell whether a client saw the end of its transport before the DISCONNECT that came first.

    python-socketio handles the two in threads of its own. On a busy machine the later one may win,
    and then it connects again by itself, is refused, and goes on trying as it does anywhere.
    """
    reasons = [value["reason"] for value in client.all("disconnected")]
    return bool(reasons) and reasons[0].startswith("transport")


@pytest.mark.parametrize("over", TRANSPORTS)
@pytest.mark.parametrize("version", [*JAVASCRIPT, *PYTHON, *JAVA])
def test_a_stock_client(lived: tuple[dict[str, Client], Hub], version: str, over: str) -> None:
    """It is told once of a refusal or a logout and stays away; else it comes back by itself."""
    clients, seen = lived
    for fate, expected in EXPECTED.items():
        client = client_of(clients, version, over, fate)
        said = Counter(what for what, _ in client.diary)
        opened = seen.opened[client.name]
        story = f"{client.name} opened {opened}: {client.diary}"
        if version in PYTHON and said["told"] and missed_disconnect(client):
            assert said["refused"], story
            continue
        assert (said["refused"], said["told"], said["connected"]) == expected, story
        assert fate == "stays" or opened <= MAX_OPENED, story


@pytest.mark.parametrize("over", TRANSPORTS)
@pytest.mark.parametrize("version", [*JAVASCRIPT, *PYTHON, *JAVA])
def test_a_stock_client_that_slept_through_its_logout(
    lived: tuple[dict[str, Client], Hub], version: str, over: str
) -> None:
    """It learns of it when it wakes, by what waited for it or by a refusal, and stays away."""
    clients, seen = lived
    client = client_of(clients, version, over, AWAY)
    said = Counter(what for what, _ in client.diary)
    opened = seen.opened[client.name]
    story = f"{client.name} opened {opened}: {client.diary}"
    assert said["told"] or said["refused"], story
    if version in PYTHON:
        return  # when it comes back by itself it goes on by itself, also when it is refused
    assert said["connected"] == 1, story
    assert max(said["told"], said["refused"]) == 1, story
    # The first of them was opened before it slept.
    assert opened <= 1 + MAX_OPENED, story


@pytest.mark.parametrize("version", JAVASCRIPT)
def test_a_client_with_the_msgpack_parser_is_told(
    lived: tuple[dict[str, Client], Hub], version: str
) -> None:
    """In its own encoding, once, and it stays away."""
    clients, seen = lived
    for over in TRANSPORTS:
        client = client_of(clients, version, over, "msgpack")
        (refusal,) = client.all("refused")
        assert refusal["code"] == "invalid_request"
        assert "msgpack" in refusal["detail"]
        assert seen.opened[client.name] == 1
