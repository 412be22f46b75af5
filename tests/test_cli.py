"""The command line, as a person and as a program meet it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from subprocess import PIPE
from typing import Any, NamedTuple

import aiohttp
import jwt
import pytest
from click.testing import CliRunner

from hub.access.minting import mint_token
from hub.api.services import SERVICES
from hub.cli import COMMANDS, load_command, main
from hub.core.model import Logout, Reason, Scope
from hub.environment import describe_settings
from tests.access.test_keys import EC
from tests.commands import ROOT, Running, run_command
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.realtime.raw import eventually, raw_socket
from tests.redis_server import RedisServer
from tests.signals_site import access_token, issuer_settings, send_logout, send_token
from tests.signals_table import Sender
from tests.site import ADMIN, SECRET, Replica, running, settings, signing_key, token
from tests.ssf_transmitter import PUSH, Stream, Transmitter

KEYED = {"HUB_JWT_SECRET": SECRET}


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def at_once(*args: str, **variables: str) -> Ended:
    """Run a command in this process."""
    result = CliRunner(env=variables).invoke(main, args)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


async def in_thread(*args: str, **variables: str) -> Ended:
    """Run a command in this process, beside the loop of the test, as it brings its own."""
    return await asyncio.to_thread(at_once, *args, **variables)


def environment(variables: dict[str, str]) -> dict[str, str]:
    """Return the environment of a process, with nothing of the hub's but these variables."""
    return {**os.environ, "PYTHONWARNINGS": "error", "PYTHONUNBUFFERED": "1", **variables}


Process = asyncio.subprocess.Process | Running


async def spawn(args: Sequence[str], variables: dict[str, str], given: str = "") -> Process:
    """Start a command in a process of its own, with a text that it reads."""
    return await run_command(args, environment(variables), given, stdout=PIPE, stderr=PIPE)


async def execute(*args: str, **variables: str) -> Process:
    """Start a command in a Python of its own, as a user does: it takes a second."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hub", *args),
        cwd=ROOT,
        env=environment(variables),
        stdout=PIPE,
        stderr=PIPE,
    )


async def finish(process: Process, patience: float = PATIENCE) -> Ended:
    """Wait for the end of a process, which never is an error that nobody has handled."""
    async with asyncio.timeout(patience):
        out, err = await process.communicate()
    assert process.returncode is not None
    ended = Ended(process.returncode, out.decode(), err.decode())
    assert "Traceback" not in ended.err, ended.err
    return ended


async def executed(*args: str, **variables: str) -> Ended:
    """Run a command in a Python of its own to its end."""
    return await finish(await execute(*args, **variables))


async def command(*args: str, **variables: str) -> Ended:
    """Run a command in a process of its own to its end."""
    return await finish(await spawn(args, variables))


@contextlib.asynccontextmanager
async def ended_after(process: Process) -> AsyncIterator[Process]:
    """End a process that lasts with the context."""
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@contextlib.asynccontextmanager
async def started(*args: str, **variables: str) -> AsyncIterator[Process]:
    """Run a command that lasts, for the length of the context."""
    async with ended_after(await spawn(args, variables)) as process:
        yield process


async def line_with(stream: asyncio.StreamReader | None, text: str) -> str:
    """Wait for a line that holds a text."""
    assert stream is not None
    async with asyncio.timeout(PATIENCE):
        async for line in stream:
            if text in line.decode():
                return line.decode()
    raise AssertionError(f"no line with {text!r}")


def one_line(text: str) -> str:
    """Return what was written, which is one line and no traceback."""
    (line,) = text.strip().splitlines()
    assert "Traceback" not in line
    return line


# Help


def test_the_help_names_every_command() -> None:
    """Who types the name alone, or -h, is told what there is."""
    for args in (["--help"], ["-h"]):
        ended = at_once(*args)
        assert ended.code == 0
        for name in COMMANDS:
            assert f"  {name} " in ended.out
    assert at_once().code == 2


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    """The list is written apart from the commands, which are loaded when they are used."""
    assert COMMANDS[name][1] == load_command(name).get_short_help_str(limit=1000)


@pytest.mark.parametrize(
    ("args", "spared"),
    [
        (["--help"], ["aiohttp", "pydantic", "structlog"]),
        (["token", "ada"], ["aiohttp", "redis", "ua_parser", "hub.app"]),
        (["sessions", "--help"], ["redis", "ua_parser", "hub.app"]),
        (["serve", "--help"], ["socketio"]),
    ],
    ids=lambda given: given[0],
)
def test_a_command_starts_without_what_others_need(args: list[str], spared: list[str]) -> None:
    """What it does not use is not even imported."""
    told = (
        "import sys; from hub.cli import main; main(standalone_mode=False)"
        "; sys.exit(' '.join(sys.modules))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", told, *args],
        cwd=ROOT, env=environment(KEYED), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not set(spared) & set(ended.stderr.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_that_teaches(name: str) -> None:
    """Each says what it does and has each of its options explained."""
    ended = at_once(name, "--help")
    assert ended.code == 0
    assert ended.err == ""
    assert len(ended.out.splitlines()) > 5
    assert ended.out.startswith(f"Usage: main {name}")
    assert at_once(name, "-h").out == ended.out


def test_the_help_of_serve_lists_every_setting() -> None:
    """The variable, the option, and what it is for."""
    text = " ".join(at_once("serve", "--help").out.split())
    for name, _, about, _ in describe_settings():
        assert name in text
        assert "--" + name.removeprefix("HUB_").lower().replace("_", "-") in text
        assert about.split("; ")[0] in text


def test_the_choices_are_those_of_the_hub() -> None:
    """The help of logout names every scope and every reason."""
    text = at_once("logout", "--help").out
    for word in (*Scope, *Reason):
        assert word.value in text


def test_the_version_is_told() -> None:
    """For a report of a bug."""
    ended = at_once("--version")
    assert ended.code == 0
    assert ended.out.startswith("logout-hub, version ")


# Usage


@pytest.mark.parametrize(
    "args",
    [
        ["nonsense"],
        ["serve", "--nonsense"],
        ["serve", "extra"],
        ["token"],
        ["token", "ada", "--lifetime", "long"],
        ["logout"],
        ["logout", "ada", "--everyone"],
        ["logout", "ada", "grace", "--sid", "s"],
        ["logout", "ada", "--scope", "others"],
        ["logout", "ada", "--spread", "-1"],
        ["logout", "--from", "/nowhere/users.txt"],
        ["logout", "ada", "--scope", "everything"],
        ["logout", "ada", "--reason", "because"],
        ["sessions"],
        ["sessions", "ada", "grace"],
        ["watch", "ada"],
        ["doctor", "--nonsense"],
    ],
    ids=" ".join,
)
def test_a_mistyped_command_is_a_matter_of_usage(args: list[str]) -> None:
    """Exit code 2, a hint on standard error, nothing on standard output."""
    ended = at_once(*args, **KEYED, HUB_ADMIN_TOKEN=ADMIN)
    assert ended.code == 2
    assert "Usage: " in ended.err
    assert ended.out == ""


READ_SETTINGS = [
    ["audit", "copy"], ["audit", "verify", "--store", "/dev/null"], ["inspect"],
    ["probe", "--url", "http://127.0.0.1:1"], ["receipt", "x"], ["sessions", "ada"], ["streams"],
    ["streams", "verify"], ["token", "ada"], ["watch"],
]  # fmt: skip
READ_ISSUERS = [["inspect"], ["streams"], ["streams", "pause"], ["watch"]]
STORED = {"HUB_REDIS_URL": "redis://127.0.0.1:1"}
ANY_AUDIENCE = {"HUB_JWT_JWKS_URL": "https://id.example/keys"}


@pytest.mark.parametrize(
    ("args", "variables", "named"),
    [
        (["serve"], {}, "HUB_JWT_SECRET"),
        (["serve"], {**KEYED, "HUB_NOPE": "1"}, "HUB_NOPE"),
        (["serve"], {**KEYED, "HUB_IDLE_TIMEOUT": "1"}, "HUB_IDLE_TIMEOUT"),
        (["serve", "--port", "70000"], KEYED, "PORT"),
        (["serve"], {"HUB_ISSUERS": "/nope"}, "HUB_ISSUERS"),
        (["serve"], {**KEYED, "HUB_REDIS_URL": "127.0.0.1"}, "HUB_REDIS_URL"),
        (["serve", "--demo", "--host", "0.0.0.0"], {}, "HUB_HOST"),
        (["serve", "--demo", "--host", "example.com"], {}, "HUB_HOST"),
        (["serve", "--demo"], {"HUB_JWT_JWKS_URL": "https://id.example/k"}, "HUB_JWT_SECRET"),
        (["token", "ada"], {}, "HUB_JWT_SECRET"),
        (["token", "ada"], {"HUB_JWT_JWKS_URL": "https://id.example/k"}, "HUB_JWT_SECRET"),
        (["logout", "ada"], {}, "HUB_ADMIN_TOKEN"),
        (["sessions", "ada"], {}, "HUB_ADMIN_TOKEN"),
        (["watch"], {}, "HUB_REDIS_URL"),
        (["watch"], {"HUB_REDIS_URL": "127.0.0.1"}, "HUB_REDIS_URL"),
        (["logout", "ada"], {"HUB_NOPE": "1"}, "HUB_NOPE"),
        *((args, {"HUB_NOPE": "1"}, "HUB_NOPE") for args in READ_SETTINGS),
        *((args, {**STORED, "HUB_ISSUERS": "/nope"}, "HUB_ISSUERS") for args in READ_ISSUERS),
        *((args, {**STORED, **ANY_AUDIENCE}, "HUB_JWT_AUDIENCE") for args in READ_ISSUERS),
    ],
)
def test_a_missing_or_bad_setting_is_one_clear_line(
    args: list[str], variables: dict[str, str], named: str
) -> None:
    """Exit code 2, and one line on standard error that names the variable."""
    ended = at_once(*args, **variables)
    assert ended.code == 2
    assert named in one_line(ended.err)
    assert ended.out == ""


# Tokens


def test_a_token_is_printed_alone() -> None:
    """So that a shell can keep it in a variable; the hub takes it."""
    ended = at_once(
        "token", "ada", "--sid", "s", "--lifetime", "60", "--scope", "hub:admin", **KEYED,
        HUB_JWT_ISSUER="https://id.example", HUB_JWT_AUDIENCE="hub",
    )  # fmt: skip
    assert ended.code == 0
    claims = jwt.decode(
        one_line(ended.out), SECRET, ["HS256"], audience="hub", issuer="https://id.example"
    )
    assert (claims["sub"], claims["sid"], claims["scope"]) == ("ada", "s", "hub:admin")
    assert claims["exp"] - claims["iat"] == pytest.approx(60)


def test_two_tokens_are_two_sessions() -> None:
    """Without a name each token is a login of its own."""
    sids = {
        jwt.decode(at_once("token", "ada", **KEYED).out.strip(), SECRET, ["HS256"])["sid"]
        for _ in range(3)
    }
    assert len(sids) == 3


# Against a running hub


@pytest.fixture
async def hub() -> AsyncIterator[Replica]:
    """A running hub on its embedded store."""
    async with running(settings()) as replica:
        yield replica


async def seen(hub: Replica, user: str, *sids: str) -> None:
    """Let sessions of a user show themselves."""
    for sid in sids:
        assert (await hub.call("GET", "/session", token(user, sid))).status == 200


async def test_sessions_lists_where_a_user_is(hub: Replica) -> None:
    """A line a session for people, the hub's answer for programs."""
    await seen(hub, "ada", "one", "two")
    asked = ("sessions", "ada", "--url", hub.url)
    people, programs = await asyncio.gather(
        command(*asked, HUB_ADMIN_TOKEN=ADMIN),
        executed(*asked, "--json", HUB_ADMIN_TOKEN=ADMIN),
    )
    assert (people.code, people.err) == (0, "")
    assert [line.split()[0] for line in people.out.splitlines()] == ["one", "two"]
    assert (programs.code, programs.err) == (0, "")
    listed = json.loads(programs.out)["sessions"]
    assert [session["sid"] for session in listed] == ["one", "two"]


async def test_a_user_without_sessions_has_none(hub: Replica) -> None:
    """That is no failure; names with odd characters reach the hub as they are."""
    odd = "a/b?c=d&é %2F#"
    await seen(hub, odd, "one")
    none, some = await asyncio.gather(
        command("sessions", "nobody", "--url", hub.url, "--json", HUB_ADMIN_TOKEN=ADMIN),
        command("sessions", odd, "--url", f"{hub.url}/", "--json", HUB_ADMIN_TOKEN=ADMIN),
    )
    assert (none.code, json.loads(none.out)) == (0, {"sessions": []})
    assert [session["sid"] for session in json.loads(some.out)["sessions"]] == ["one"]


async def test_logout_ends_what_was_asked_for(hub: Replica) -> None:
    """One session by name, then all; the receipt is shown, and the tokens are dead."""
    old = {sid: token("ada", sid) for sid in ("one", "two", "three")}
    await seen(hub, "ada", *old)
    one = await command(
        "logout", "ada", "--sid", "one", "--reason", "suspicious", "--message", "Lost – “phone”",
        "--url", hub.url, "--json", HUB_ADMIN_TOKEN=ADMIN,
    )  # fmt: skip
    assert (one.code, one.err) == (0, "")
    receipt = json.loads(one.out)
    assert (receipt["scope"], receipt["reason"]) == ("session", "suspicious")
    assert receipt["message"] == "Lost – “phone”"
    assert [session["sid"] for session in receipt["sessions"]] == ["one"]
    assert (await hub.call("GET", "/verify", old["one"])).code == "token_revoked"
    assert (await hub.call("GET", "/verify", old["two"])).status == 204
    rest = await command("logout", "ada", "--url", hub.url, HUB_ADMIN_TOKEN=ADMIN)
    assert (rest.code, rest.err) == (0, "")
    told = rest.out.splitlines()
    assert "2 known sessions" in told[0]
    assert {line.split()[-1] for line in told[1:]} == {"two", "three"}
    assert (await hub.call("GET", "/verify", old["two"])).code == "token_revoked"


async def test_many_users_are_logged_out_and_waited_for(hub: Replica, tmp_path: Path) -> None:
    """Named on the line or in a file, with a count of what became of their sessions."""
    names = tmp_path / "users.txt"
    names.write_text("grace\n\n  eve \n")
    tokens = {user: token(user, "s") for user in ("ada", "grace", "eve", "bob")}
    for mine in tokens.values():
        await hub.call("GET", "/session", mine)
    ended = await command(
        "logout", "ada", "--from", str(names), "--spread", "1", "--wait",
        "--url", hub.url, HUB_ADMIN_TOKEN=ADMIN,
    )  # fmt: skip
    assert (ended.code, ended.err.strip()) == (0, "notified")
    assert ended.out.startswith("3 users are logged out; sessions: 3 offline")
    for user, status in (("ada", 401), ("grace", 401), ("eve", 401), ("bob", 200)):
        assert (await hub.call("GET", "/session", tokens[user])).status == status
    ended = await command("logout", "--everyone", "--json", "--url", hub.url, HUB_ADMIN_TOKEN=ADMIN)
    assert json.loads(ended.out)["everyone"] is True
    assert (await hub.call("GET", "/session", tokens["bob"])).status == 401


async def test_a_list_of_users_may_begin_with_a_byte_order_mark(
    hub: Replica, tmp_path: Path
) -> None:
    """As Excel and PowerShell write it: the first user is logged out like the others."""
    names = tmp_path / "users.txt"
    names.write_bytes("ada\r\ngrace\r\n".encode("utf-8-sig"))
    tokens = {user: token(user, "s") for user in ("ada", "grace")}
    for given in ({"args": str(names)}, {"args": "-", "given": names.read_bytes().decode()}):
        for mine in tokens.values():
            await hub.call("GET", "/session", mine)
        args = ("logout", "--from", given["args"], "--url", hub.url)
        ended = await finish(await spawn(args, {"HUB_ADMIN_TOKEN": ADMIN}, given.get("given", "")))
        assert (ended.code, ended.err) == (0, "")
        for mine in tokens.values():
            assert (await hub.call("GET", "/session", mine)).status == 401
        tokens = {user: token(user, f"{user}-2") for user in tokens}


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_list_of_users_is_utf_8(tmp_path: Path, encoding: str) -> None:
    """Nobody is logged out by another spelling of a name: exit code 2, with a hint."""
    names = tmp_path / "users.txt"
    names.write_bytes("ada\nzoë\n".encode(encoding))
    ended = at_once("logout", "--from", str(names), HUB_ADMIN_TOKEN=ADMIN)
    assert (ended.code, ended.out) == (2, "")
    assert "not UTF-8" in ended.err


async def test_the_bar_counts_against_everybody_from_the_start(hub: Replica) -> None:
    """It is not full before the last device was told; then each device can be named."""
    async with AsyncExitStack() as stack:
        for name in ("ada", "grace", "eve", "bob"):
            raw = await stack.enter_async_context(raw_socket(hub))
            await raw.connect(token(name, "s"), device=f"Phone of {name}")
        ended = await command(
            "logout", "--everyone", "--spread", "3", "--wait", "--json",
            "--url", hub.url, HUB_ADMIN_TOKEN=ADMIN,
        )  # fmt: skip
    done = json.loads(ended.out)
    assert (done["states"], done["waiting"], done["complete"]) == ({"notified": 4}, 0, True)
    given = ("--url", hub.url)
    listed = await command("receipt", done["id"], *given, HUB_ADMIN_TOKEN=ADMIN)
    assert (listed.code, listed.err) == (0, "")
    assert sorted(line.split()[1] for line in listed.out.splitlines()) == [
        "ada", "bob", "eve", "grace"
    ]  # fmt: skip
    assert "Phone of eve" in listed.out
    none = await command("receipt", done["id"], "--state", "cut", *given, HUB_ADMIN_TOKEN=ADMIN)
    assert (none.out, none.err.strip()) == ("", "no sessions are cut")
    unknown = await command("receipt", "none", *given, HUB_ADMIN_TOKEN=ADMIN)
    assert (unknown.code, "404" in unknown.err) == (1, True)


async def test_the_address_of_the_hub_comes_from_the_settings(hub: Replica) -> None:
    """On the same machine, with the same settings, no address is needed."""
    ended = await command(
        "sessions", "ada", "--json", HUB_ADMIN_TOKEN=ADMIN, HUB_PORT=str(hub.port)
    )
    assert (ended.code, json.loads(ended.out)) == (0, {"sessions": []})


async def test_what_the_hub_refuses_fails_in_one_line(hub: Replica) -> None:
    """Exit code 1, the status and what was wrong; no traceback, and no token."""
    wrong, unclear = await asyncio.gather(
        command("sessions", "ada", "--url", hub.url, HUB_ADMIN_TOKEN="wrong-" * 4),
        command("logout", "ada", "--scope", "session", "--url", hub.url, HUB_ADMIN_TOKEN=ADMIN),
    )
    for ended, status in ((wrong, "401"), (unclear, "400")):
        assert (ended.code, ended.out) == (1, "")
        assert status in one_line(ended.err)
        assert ("HUB_ADMIN_TOKEN is not the one" in ended.err) == (status == "401")
        assert "JWT" not in ended.err or "neither" in ended.err
        assert "wrong-wrong" not in ended.err
        assert ADMIN not in ended.err


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "127.0.0.1:{port}", "not an address"])
def test_a_hub_that_is_not_there_fails_in_one_line(url: str) -> None:
    """Exit code 1, naming the address that was tried."""
    address = url.format(port=free_port())
    ended = at_once("logout", "ada", "--url", address, HUB_ADMIN_TOKEN=ADMIN)
    assert (ended.code, ended.out) == (1, "")
    assert address in one_line(ended.err)


# Serving


async def test_serve_serves_until_it_is_asked_to_stop() -> None:
    """The address is told once it answers; SIGTERM ends it soon, with open connections, by 0."""
    async with ended_after(await execute("serve", "--port", "0", **KEYED)) as process:
        told = await line_with(process.stderr, "logout-hub on http://127.0.0.1:")
        url = told.split()[2].rstrip(",")
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{url}/healthz") as answer:
                assert answer.status == 200
            async with http.get(
                f"{url}/verify", headers={"Authorization": f"Bearer {token('ada')}"}
            ) as answer:
                assert answer.status == 204
            socket_url = f"{url}/socket.io/?EIO=4&transport=websocket"
            async with http.ws_connect(socket_url) as live:
                assert (await live.receive_str())[0] == "0"
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(PATIENCE):
                    _, err = await process.communicate()
    assert process.returncode == 0
    assert "Traceback" not in err.decode()
    assert SECRET not in told + err.decode()


async def test_the_demo_says_how_to_call_the_command() -> None:
    """What it prints works in another terminal; a token that was set is not printed."""
    async with started("serve", "--demo", "--port", "0") as process:
        export = await line_with(process.stderr, "export HUB_ADMIN_TOKEN=")
        line = await line_with(process.stderr, " sessions ada --url ")
        given = {"HUB_ADMIN_TOKEN": export.strip().partition("=")[2]}
        asked = await asyncio.create_subprocess_shell(
            line, env=environment(given), cwd=ROOT, stdout=-1, stderr=-1
        )
        _, err = await asked.communicate()
        assert (asked.returncode, err.decode().strip()) == (0, "ada has no sessions")
    async with started("serve", "--demo", "--port", "0", HUB_ADMIN_TOKEN=ADMIN) as process:
        assert ADMIN not in await line_with(process.stderr, "export HUB_ADMIN_TOKEN=")


async def test_the_demo_needs_no_settings() -> None:
    """It says where to go and that it is a demo, serves the page, and mints tokens."""
    async with ended_after(await execute("serve", "--demo", "--port", "0")) as process:
        told = await line_with(process.stderr, "Open http://127.0.0.1:")
        url = told.split()[1].rstrip("/")
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{url}/") as page:
                assert page.status == 200
                assert page.content_type == "text/html"
            async with http.post(f"{url}/demo/token", json={"user": "ada"}) as answer:
                minted = (await answer.json())["token"]
            async with http.get(
                f"{url}/session", headers={"Authorization": f"Bearer {minted}"}
            ) as answer:
                assert answer.status == 200
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            _, err = await process.communicate()
    assert process.returncode == 0
    assert "Traceback" not in err.decode()


async def test_a_port_in_use_is_one_clear_line() -> None:
    """Exit code 1, naming the address of that listener; the hub that has it is not disturbed."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        public = await executed("serve", "--port", port, **KEYED)
        admin = await command("serve", "--port", "0", "--admin-port", port, **KEYED)
    for ended in (public, admin):
        assert (ended.code, ended.out) == (1, "")
        assert f"cannot listen on 127.0.0.1:{port}: " in one_line(ended.err)


async def test_a_demo_needs_nobody_to_read_its_welcome() -> None:
    """It serves without, as a hub does, and ends as usual."""
    port = free_port()
    end, theirs = os.pipe()
    os.close(end)
    demo = ["serve", "--demo", "--port", str(port)]
    process = await run_command(demo, environment({}), stdout=PIPE, stderr=theirs)
    os.close(theirs)

    async def answers() -> bool:
        assert process.returncode is None
        with contextlib.suppress(aiohttp.ClientConnectionError):
            async with aiohttp.request("GET", f"http://127.0.0.1:{port}/healthz") as answer:
                return answer.status == 200
        return False

    async with ended_after(process):
        await eventually(answers)
        process.send_signal(signal.SIGINT)
        assert (await finish(process)).code == 0


async def test_a_host_that_is_not_ours_is_one_clear_line() -> None:
    """An address of another machine cannot be listened on."""
    ended = await command("serve", "--host", "192.0.2.1", "--port", "0", **KEYED)
    assert (ended.code, ended.out) == (1, "")
    assert "192.0.2.1" in one_line(ended.err)


async def test_a_redis_that_refuses_the_password_is_said_once(own_redis: RedisServer) -> None:
    """With its address and without the password; not several times a second."""
    with own_redis.client() as client:
        client.config_set("requirepass", "open-sesame")
    url = own_redis.url.replace("//", "//:wrong-sesame@")
    async with started("serve", "--port", "0", HUB_REDIS_URL=url, HUB_JWT_SECRET=SECRET) as process:
        await line_with(process.stderr, "state in Redis")
        await asyncio.sleep(2)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        said = (await process.stderr.read()).decode()
    assert said.count("logouts are not received") <= 1
    assert said.count("the lease was not renewed") <= 1
    assert "sesame" not in said


async def test_an_address_needs_no_scheme(hub: Replica) -> None:
    """As one types it."""
    url = hub.url.removeprefix("http://")
    ended = await command("sessions", "ada", "--json", "--url", url, HUB_ADMIN_TOKEN=ADMIN)
    assert (ended.code, json.loads(ended.out)) == (0, {"sessions": []})


async def test_a_hub_whose_redis_is_down_starts_and_stops_all_the_same() -> None:
    """It is alive, not ready, and ends by SIGTERM within seconds."""
    url = f"redis://:sesame@127.0.0.1:{free_port()}/0"
    async with started("serve", "--port", "0", **KEYED, HUB_REDIS_URL=url) as process:
        told = await line_with(process.stderr, "logout-hub on http://")
        address = told.split()[2].rstrip(",")
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{address}/healthz") as answer:
                assert answer.status == 200
            async with http.get(f"{address}/readyz") as answer:
                assert answer.status == 503
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            _, err = await process.communicate()
    assert process.returncode == 0
    assert "sesame" not in told + err.decode()


# Watching


async def test_watch_follows_logouts_live(redis_url: str) -> None:
    """Each logout on any replica is a line, soon after it was written; for programs in JSON."""
    variables = {"HUB_REDIS_URL": redis_url}
    async with (
        running(settings(redis_url=redis_url)) as hub,
        started("watch", "--json", **variables) as programs,
        ended_after(await execute("watch", **variables)) as people,
    ):
        for process in (programs, people):
            await line_with(process.stderr, "watching")
        await hub.call("POST", "/logout", token("ada", "one"), json={"scope": "others"})
        first: dict[str, Any] = json.loads(await line_with(programs.stdout, "{"))
        assert (first["user"], first["scope"], first["sid"]) == ("ada", "others", "one")
        receipt = json.loads(await line_with(programs.stdout, '"receipt"'))
        assert (receipt["receipt"], receipt["complete"]) == (first["id"], True)
        # The refusal of a session, whoever its user is, is no logout of anybody.
        refused = Logout("r", None, Scope.SESSION, Reason.POLICY, sid="one", before=1)
        await hub.app[SERVICES].store.refuse_session("", refused)
        everyone = {"everyone": True, "reason": "policy"}
        await hub.call("POST", "/admin/logout", ADMIN, json=everyone)
        second = json.loads(await line_with(programs.stdout, "policy"))
        assert (second["user"], second["scope"]) == (None, "all")
        told = await line_with(people.stdout, "Z  ada  others one")
        assert first["id"] in told
        assert "everyone" in await line_with(people.stdout, second["id"])
        # What others named is shown, and turns no text around.
        await hub.call("POST", "/logout", token("ada\u202e", "\u2066x"), json={"scope": "session"})
        assert r"ada\u202e  session \u2066x" in await line_with(people.stdout, "  session ")
        people.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            _, err = await people.communicate()
        assert people.returncode == 0
        assert "Traceback" not in err.decode()


async def test_watch_shows_what_became_of_signals(redis_url: str, tmp_path: Path) -> None:
    """Who asked for a logout, by what; and signals that ended nothing, or were refused."""
    sender, transmitter = Sender(), Transmitter()
    table = (
        '[[transmitter]]\niss = "{iss}"\naud = "{aud}"\nissuer = "{issuer}"\ndelivery = "push"\n'
    )
    async with (
        transmitter.serve(),
        issuer_settings(
            tmp_path,
            sender,
            more=table.format(iss=transmitter.iss, aud=transmitter.aud, issuer=sender.iss),
            redis_url=redis_url,
        ) as given,
        running(given) as hub,
        started("watch", "--json", HUB_REDIS_URL=redis_url) as programs,
        started("watch", HUB_REDIS_URL=redis_url) as people,
    ):
        for process in (programs, people):
            await line_with(process.stderr, "watching logouts")
        await hub.call("GET", "/session", access_token(sender, "ada", "s-1"))
        assert (await send_logout(hub, sender, sub="ada", sid="s-1")).status == 200
        ended = await hub.call("GET", "/session", access_token(sender, "ada", "s-1"))
        logout_id = ended.body["id"]
        # The logout, its receipt and the signal; which is first is not said.
        objects = [json.loads(await line_with(programs.stdout, logout_id)) for _ in range(3)]
        (logout,) = (one for one in objects if "origin" in one)
        assert (logout["origin"]["by"], logout["by"]) == (sender.iss, sender.iss)
        assert logout["origin"]["event"] == "backchannel-logout"
        (record,) = (one for one in objects if "signal" in one)
        assert (record["signal"], record["channel"]) == ("ended", "backchannel")
        assert (record["logout"], record["by"]) == (logout_id, sender.iss)
        lines = "".join([await line_with(people.stdout, logout_id) for _ in range(3)])
        assert f"{logout_id}  (backchannel-logout by {sender.iss})\n" in lines
        by = f"signal by backchannel  backchannel-logout  from {sender.iss}"
        assert f"{by}  ended  {logout_id}\n" in lines

        assert (await send_token(hub, "nonsense")).status == 400
        refused = json.loads(await line_with(programs.stdout, "refused"))
        assert (refused["channel"], refused["times"]) == ("backchannel", 1)
        assert refused["error"] in await line_with(people.stdout, "refused: ")

        stream = Stream("s", {"method": PUSH, "endpoint_url": f"{hub.url}/events"}, [])
        transmitter.streams["s"] = stream
        await transmitter.emit("https://odd.example/event", {})
        assert await transmitter.push(stream) == [202]
        ignored = json.loads(await line_with(programs.stdout, "ignored"))
        assert (ignored["by"], ignored["event"]) == (transmitter.iss, "https://odd.example/event")
        by = f"signal by push  https://odd.example/event  from {transmitter.iss}"
        assert f"{by}  ignored\n" in await line_with(people.stdout, "ignored")


@pytest.mark.parametrize("args", [["watch"], ["watch", "--json"]])
async def test_watch_ends_when_nobody_reads_it(redis_url: str, args: list[str]) -> None:
    """As after ``| head -1``: exit code 1, when it next has something to print, and not a word."""
    end, theirs = os.pipe()
    process = await run_command(
        args, environment({"HUB_REDIS_URL": redis_url}), stdout=theirs, stderr=PIPE
    )
    os.close(theirs)
    async with running(settings(redis_url=redis_url)) as hub, ended_after(process):
        await line_with(process.stderr, "watching")
        os.close(end)
        assert (await hub.call("POST", "/logout", token("ada"))).status == 200
        ended = await finish(process)
    assert (ended.code, ended.out, ended.err) == (1, "", "")


async def test_watch_fails_when_redis_goes_away(own_redis: RedisServer) -> None:
    """Exit code 1 and one line: a silent watcher would look like a quiet day."""
    async with started("watch", HUB_REDIS_URL=own_redis.url) as process:
        await line_with(process.stderr, "watching")
        own_redis.kill()
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
    assert process.returncode == 1
    assert one_line(err.decode())
    assert out == b""


# Explaining a token


def inspected(text: str, *args: str, **variables: str) -> Ended:
    """Run `inspect` with this on standard input."""
    result = CliRunner(env=variables).invoke(main, ["inspect", *args], input=text)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


@pytest.mark.parametrize(
    "before", ["", "  ", "Bearer ", "bearer  ", "Authorization: Bearer ", "\ufeff", "\ufeffBearer "]
)
def test_inspect_says_that_a_token_is_taken(before: str) -> None:
    """Exit code 0, as it was copied, and neither the signature nor the whole token is printed."""
    text = token("ada", "s-1", scope="a b")
    people = inspected(f"{before}{text}\n", **KEYED)
    programs = inspected(f"{before}{text}\n", "--json", **KEYED)
    assert (people.code, people.err, programs.code, programs.err) == (0, "", 0, "")
    assert people.out.startswith("the hub accepts this token")
    assert "s-1 (sid)" in people.out
    told = json.loads(programs.out)
    assert (told["taken"], told["user"]["value"], told["scopes"]) == (True, "ada", ["a", "b"])
    for out in (people.out, programs.out):
        assert text not in out
        assert text.rpartition(".")[2] not in out
        assert SECRET not in out


def test_inspect_says_why_a_token_is_refused(tmp_path: Path) -> None:
    """Exit code 1, with what to change; from a file as well."""
    file = tmp_path / "token"
    file.write_text(token("ada", lifetime=100_000))
    for ended in (
        at_once("inspect", "--token-file", str(file), **KEYED),
        inspected(file.read_text(), **KEYED),
    ):
        assert (ended.code, ended.err) == (1, "")
        assert ended.out.startswith("refused: token_invalid")
        assert "HUB_TOKEN_MAX_LIFETIME=100000" in ended.out
    told = json.loads(at_once("inspect", "--json", "--token-file", str(file), **KEYED).out)
    assert (told["taken"], told["refusal"]["code"]) == (False, "token_invalid")


@pytest.mark.parametrize("junk", ["x", "a.b.c", "\x00\xff", "é", "x" * 200_000, "\x1b[31m"])
def test_inspect_is_not_upset_by_anything(junk: str) -> None:
    """What is no token is refused in plain words."""
    ended = inspected(junk, **KEYED)
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.startswith("refused: token_invalid")
    assert "\x1b" not in ended.out


def test_inspect_needs_a_token_and_settings() -> None:
    """Exit code 2; a token among the arguments is not taken, since others could see it."""
    assert inspected("", **KEYED).code == 2
    assert inspected(" \n", **KEYED).code == 2
    assert inspected(token("ada"), token("ada"), **KEYED).code == 2
    assert inspected(token("ada"), "--token-file", "/nowhere", **KEYED).code == 2
    ended = inspected(token("ada"))
    assert (ended.code, "HUB_JWT_ISSUER" in one_line(ended.err)) == (2, True)


def test_inspect_fetches_no_keys_offline() -> None:
    """The signature stays open, and so does the verdict; all else is told."""
    variables = {"HUB_JWT_ISSUER": "https://127.0.0.1:1", "HUB_JWT_AUDIENCE": "app"}
    claims = {"iss": "https://127.0.0.1:1", "aud": "app", "sub": "ada", "sid": "s"}
    now = int(time.time())
    text = jwt.encode({**claims, "iat": now, "exp": now + 60}, EC, "ES256", headers={"kid": "k"})
    ended = inspected(text, "--offline", "--json", **variables)
    assert (ended.code, json.loads(ended.out)["taken"]) == (0, None)
    assert "if its signature is right" in inspected(text, "--offline", **variables).out
    ended = inspected(text, "--json", **variables)
    assert (ended.code, json.loads(ended.out)["refusal"]["code"]) == (1, "unavailable")


# Examining


def test_doctor_says_good_by_its_exit_code(redis_url: str) -> None:
    """0 when nothing is bad, and one finding a line or one list of JSON."""
    variables = {**KEYED, "HUB_REDIS_URL": redis_url, "HUB_ADMIN_TOKEN": ADMIN}
    people, programs = at_once("doctor", **variables), at_once("doctor", "--json", **variables)
    assert (people.code, people.err) == (0, "")
    assert (programs.code, programs.err) == (0, "")
    found = json.loads(programs.out)
    assert {finding["level"] for finding in found} == {"good"}
    assert [line.split()[1].rstrip(":") for line in people.out.splitlines()] == [
        finding["check"] for finding in found
    ]


@pytest.mark.parametrize(
    ("variables", "bad"),
    [
        ({}, "settings"),
        ({**KEYED, "HUB_NOPE": "1"}, "settings"),
        ({**KEYED, "HUB_REDIS_URL": "127.0.0.1"}, "settings"),
        ({**KEYED, "HUB_REDIS_URL": "redis://:sesame@127.0.0.1:1/0"}, "store"),
    ],
)
def test_doctor_says_bad_by_its_exit_code(variables: dict[str, str], bad: str) -> None:
    """1 when anything is bad, in JSON too, and no password is told."""
    people, programs = at_once("doctor", **variables), at_once("doctor", "--json", **variables)
    assert people.code == programs.code == 1
    found = json.loads(programs.out)
    assert [finding["check"] for finding in found if finding["level"] == "bad"] == [bad]
    assert f"bad   {bad}:" in people.out
    assert "sesame" not in people.out + programs.out + people.err


ELSEWHERE = "203.0.113.1"
"""An address that no machine has."""


@pytest.mark.parametrize(
    ("variables", "bad"),
    [
        ({"HUB_INTROSPECTION_KEY": signing_key()}, "settings"),
        ({"HUB_PORT": "9000", "HUB_ADMIN_PORT": "9000", "HUB_ADMIN_HOST": ELSEWHERE}, "settings"),
        ({"HUB_COOKIE_NAME": "session"}, "cookie"),
        ({"HUB_AUDIT_FILE": "/nowhere/audit.log"}, "audit"),
        ({"HUB_AUDIT_FILE": "pyproject.toml"}, "audit"),
        ({"HUB_AUDIT_FILE": "tests"}, "audit"),
        ({"HUB_HOST": ELSEWHERE}, "listener"),
        ({"HUB_ADMIN_PORT": "9000", "HUB_ADMIN_HOST": ELSEWHERE}, "admin listener"),
    ],
)
async def test_doctor_finds_what_stops_the_start(variables: dict[str, str], bad: str) -> None:
    """What ``serve`` refuses after it has read the settings is bad for ``doctor`` too."""
    given = {**KEYED, "HUB_PORT": str(free_port()), **variables}
    refused, told = await asyncio.gather(
        command("serve", **given), command("doctor", "--json", **given)
    )
    assert refused.code in (1, 2)
    assert one_line(refused.err)
    assert told.code == 1
    found = [one["check"] for one in json.loads(told.out) if one["level"] == "bad"]
    assert found == [bad]


async def test_doctor_runs_as_a_command(own_redis: RedisServer) -> None:
    """From a shell, against a server that would evict."""
    with own_redis.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    ended = await executed("doctor", "--json", **KEYED, HUB_REDIS_URL=own_redis.url)
    assert (ended.code, ended.err) == (1, "")
    bad = [finding["check"] for finding in json.loads(ended.out) if finding["level"] == "bad"]
    assert bad == ["maxmemory-policy"]


async def test_the_issuers_are_read_again_on_sighup(tmp_path: Path) -> None:
    """Another secret counts from then on; a file that is not usable changes nothing."""
    file, other = tmp_path / "issuers.toml", SECRET[::-1]
    file.write_text(f'[[issuer]]\niss = "https://id.example"\nsecret = "{SECRET}"\n')
    given = {"HUB_ISSUERS": str(file), "HUB_LOG_FORMAT": "json"}
    old, new = (
        mint_token(secret, "ada", lifetime=600, issuer="https://id.example")
        for secret in (SECRET, other)
    )
    async with (
        started("serve", "--port", "0", **given) as process,
        aiohttp.ClientSession() as http,
    ):
        told = await line_with(process.stderr, "logout-hub on http://127.0.0.1:")
        url = json.loads(told)["event"].split()[2].rstrip(",")

        async def statuses() -> list[int]:
            found = []
            for bearer in (old, new):
                headers = {"Authorization": f"Bearer {bearer}"}
                async with http.get(f"{url}/verify", headers=headers) as answer:
                    found.append(answer.status)
            return found

        assert await statuses() == [204, 401]
        file.write_text(f'[[issuer]]\niss = "https://id.example"\nsecret = "{other}"\n')
        process.send_signal(signal.SIGHUP)
        await line_with(process.stderr, "the issuers were reloaded")
        assert await statuses() == [401, 204]
        file.write_text('[[issuer]]\niss = "https://id.example"\n')
        process.send_signal(signal.SIGHUP)
        line = await line_with(process.stderr, "the issuers were not reloaded")
        assert "audience" in line
        assert await statuses() == [401, 204]


async def test_the_audit_log_of_a_hub_is_whole_until_somebody_touches_it(tmp_path: Path) -> None:
    """It has who did what and no secret; a line changed, cut, moved or taken out is named."""
    file = tmp_path / "audit.log"
    given = {**KEYED, "HUB_AUDIT_FILE": str(file), "HUB_ADMIN_TOKEN": ADMIN, "HUB_REPLICA": "one"}
    mine = mint_token(SECRET, "ada", lifetime=600, sid="s1")
    async with (
        started("serve", "--port", "0", "--log-format", "json", **given) as process,
        aiohttp.ClientSession() as http,
    ):
        told = await line_with(process.stderr, "logout-hub on http://127.0.0.1:")
        url = json.loads(told)["event"].split()[2].rstrip(",")
        for path, bearer, body, status in (
            ("/logout", mine, {"scope": "all", "message": "the message"}, 200),
            ("/admin/logout", ADMIN, {"user": "ben", "reason": "policy"}, 200),
            ("/admin/logout", ADMIN, {"user": 7}, 400),
            ("/logout", "no token at all", {}, 401),
        ):
            headers = {"Authorization": f"Bearer {bearer}"}
            async with http.post(url + path, json=body, headers=headers) as answer:
                assert answer.status == status
        process.terminate()
        await process.wait()
    lines = file.read_bytes().splitlines(keepends=True)
    found = [json.loads(line) for line in lines]
    assert [(one["event"], one["facts"].get("by")) for one in found] == [
        ("start", None), ("logout", "user"), ("logout", "admin"), ("admin", None), ("admin", None),
        ("refused", None), ("stop", None),
    ]  # fmt: skip
    assert found[1]["facts"]["address"] == found[2]["facts"]["address"] == "127.0.0.1"
    assert [found[n]["facts"]["status"] for n in (3, 4)] == [200, 400]
    assert found[5]["facts"] == {"code": "token_invalid", "address": "127.0.0.1", "count": 1}
    assert found[0]["facts"]["settings"]["HUB_ADMIN_TOKEN"] == "set"
    for secret in (SECRET, ADMIN, mine, "no token at all", "the message"):
        assert secret.encode() not in b"".join(lines)
    ended = await command("audit", "verify", str(file))
    assert (ended.code, ended.out.split(",")[0]) == (0, f"whole: {len(lines)} entries")
    for what, broken in (
        ("changed", [*lines[:2], lines[2].replace(b"ben", b"eve"), *lines[3:]]),
        ("cut", [*lines[:2], lines[2][:50] + b"\n", *lines[3:]]),
        ("reordered", [lines[0], lines[2], lines[1], *lines[3:]]),
        ("removed", [*lines[:2], *lines[3:]]),
        ("torn", [*lines[:2], lines[2][:50]]),
    ):
        file.write_bytes(b"".join(broken))
        ended = at_once("audit", "verify", "--json", str(file))
        assert ended.code == 1
        assert [(f["line"], f["what"]) for f in json.loads(ended.out)["faults"]] == [(3, what)]


async def test_the_copy_in_redis_shows_what_the_files_hide(tmp_path: Path, redis_url: str) -> None:
    """A running hub follows a rotation by SIGHUP; lines taken off the end are found by the copy."""
    file, old = tmp_path / "audit.log", tmp_path / "audit.log.1"
    given = {**KEYED, "HUB_AUDIT_FILE": str(file), "HUB_REPLICA": "one", "HUB_REDIS_URL": redis_url}
    async with (
        started("serve", "--port", "0", "--log-format", "json", **given) as process,
        aiohttp.ClientSession() as http,
    ):
        told = await line_with(process.stderr, "logout-hub on http://127.0.0.1:")
        url = json.loads(told)["event"].split()[2].rstrip(",")
        for user in ("ada", "grace"):
            headers = {"Authorization": f"Bearer {mint_token(SECRET, user, lifetime=600)}"}
            async with http.post(f"{url}/logout", headers=headers) as answer:
                assert answer.status == 200
            if user == "ada":
                await eventually(lambda: file.read_bytes().count(b"\n") == 2)
                file.rename(old)
                process.send_signal(signal.SIGHUP)
                await eventually(file.exists)
        process.terminate()
        assert await process.wait() == 0
    lines = old.read_bytes().splitlines() + file.read_bytes().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["start", "logout", "logout", "stop"]
    known = {**KEYED, "HUB_REDIS_URL": redis_url}
    verify = ("audit", "verify", "--store", str(old), str(file))
    ended = await command(*verify, **known)
    assert (ended.code, ended.out.splitlines()[1].split(",")[0]) == (0, "in the store: 4 the same")
    copied = await command("audit", "copy", "--replica", "one", **known)
    assert copied.out.encode().splitlines() == lines
    assert (await in_thread("audit", "copy", "--replica", "two", **known)).out == ""
    file.write_bytes(lines[2] + b"\n")
    assert at_once("audit", "verify", str(old), str(file)).code == 0
    ended = await in_thread(*verify, "--json", **known)
    (fault,) = json.loads(ended.out)["store"]["faults"]
    assert (ended.code, fault["line"], fault["what"]) == (1, 4, "removed")


async def test_a_copy_needs_a_redis_that_answers(tmp_path: Path) -> None:
    """One line says what is missing."""
    ended = at_once("audit", "copy", **KEYED)
    assert ended.code == 2
    assert "HUB_REDIS_URL" in one_line(ended.err)
    (file := tmp_path / "audit.log").write_text("")
    url = f"redis://127.0.0.1:{free_port()}/0"
    ended = await in_thread("audit", "verify", "--store", str(file), **KEYED, HUB_REDIS_URL=url)
    assert ended.code == 1
    assert "the store" in one_line(ended.err)


async def test_an_audit_file_that_is_none_stops_the_start(tmp_path: Path) -> None:
    """A hub writes behind no other text."""
    (file := tmp_path / "notes").write_text("remember the milk\n")
    ended = await command("serve", "--port", "0", **KEYED, HUB_AUDIT_FILE=str(file))
    assert ended.code == 2
    assert "HUB_AUDIT_FILE" in one_line(ended.err)
    assert file.read_text() == "remember the milk\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_runs_without_standard_streams(closed: str) -> None:
    """As some supervisors start one; it fails here only because there is no hub."""
    address = f"http://127.0.0.1:{free_port()}"
    asked = f'exec "$0" -m hub sessions ada --url {address} {closed}'
    environ = {**os.environ, "HUB_ADMIN_TOKEN": ADMIN}
    ended = subprocess.run(
        ["sh", "-c", asked, sys.executable], cwd=ROOT, env=environ, capture_output=True
    )
    assert ended.returncode == 1, ended.stderr
