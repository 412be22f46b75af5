"""What commands print that others have named: a terminal finds nothing in it to act on."""

from __future__ import annotations

import ast
import asyncio
import json
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from hub.cli import COMMANDS, main
from hub.terminal import escape
from tests.commands import ROOT
from tests.ports import free_port
from tests.site import ADMIN, SECRET
from tests.ssf_transmitter import Transmitter
from tests.test_layout import MODULES, modules_of

EVIL = "a\x1b]0;title\x07\x1b[2Jb\x9b1mc\u202egpj.\u2066exe\r\nadmin is logged out\x7f\u200b"
"""Escape sequences, in seven and eight bits, a line of its own, and turned text."""

SESSION = {
    "sid": EVIL, "device": EVIL, "ip": EVIL, "user": EVIL, "state": "acknowledged",
    "failed": [EVIL], "online": True, "current": False, "last_seen_at": 1.8e9,
}  # fmt: skip

PRINTERS = {"hub/console.py", "hub/minting.py", "hub/serving.py"}
"""Who prints by itself: the functions for all others, and what prints nothing of others."""


class Shown:
    """What a command showed on a terminal, and its exit code."""

    def __init__(self, *args: str, given: str | None = None, **variables: str) -> None:
        environ = {"HUB_ADMIN_TOKEN": ADMIN, **variables}
        result = CliRunner(env=environ).invoke(main, args, input=given, color=True)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        self.code = result.exit_code
        self.text = result.stdout + result.stderr

    def check(self) -> None:
        """Check that what others named is shown, and harmless; our own colours may be there."""
        own = self.text
        for code in (0, 1, 31, 32, 33):
            own = own.replace(f"\x1b[{code}m", "")
        odd = {char for char in own if unicodedata.category(char)[0] in "C" and char != "\n"}
        assert not odd, own
        assert "admin is logged out" not in own.splitlines()
        assert "2J" in own


async def shown(*args: str, given: str | None = None, **variables: str) -> Shown:
    """Run a command beside the loop of the test."""
    return await asyncio.to_thread(lambda: Shown(*args, given=given, **variables))


@pytest.fixture
async def hub() -> AsyncIterator[str]:
    """The address of what says that it is a hub, and names everything as it likes."""

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/refused/sessions"):
            return web.json_response({"detail": EVIL, "code": EVIL}, status=403)
        many = {"everyone": False, "users": 2, "states": {EVIL: 1}, "complete": True}
        if request.path == "/admin/logout" and "users" in await request.json():
            return web.json_response({"id": EVIL, "warnings": [EVIL], **many})
        given = {"id": EVIL, "scope": EVIL, "sessions": [SESSION], "next": None, "complete": True}
        return web.json_response({**given, "warnings": [EVIL]})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url(""))


@pytest.mark.parametrize(
    "args",
    [
        ("sessions", "ada"),
        ("logout", "ada"),
        ("logout", "ada", "ben"),
        ("receipt", "x"),
        ("sessions", "refused"),
        ("doctor",),
    ],
    ids=" ".join,
)
async def test_what_a_hub_says_is_shown_escaped(hub: str, args: tuple[str, ...]) -> None:
    """Devices, sessions, addresses, warnings and refusals, for people and as JSON."""
    for more in ((), ("--json",)):
        ended = await shown(*args, *more, "--url", hub, HUB_JWT_SECRET=SECRET)
        if args != ("doctor",):
            ended.check()
        else:
            assert "\x1b]" not in ended.text


async def test_what_a_transmitter_says_is_shown_escaped(tmp_path: Path) -> None:
    """Its statuses and the reasons for them, and its errors."""
    async with Transmitter().serve() as served:
        file = tmp_path / "issuers.toml"
        file.write_text(
            f'[[issuer]]\nsecret = "{SECRET}"\n[[transmitter]]\niss = "{served.iss}"\n'
            f'aud = "{served.aud}"\ndelivery = "poll"\ntoken = "{served.bearer}"\n'
        )
        made = await shown("streams", "create", HUB_ISSUERS=str(file))
        assert made.code == 0, made.text
        for stream in served.streams.values():
            stream.status, stream.reason = EVIL, EVIL
        for more in ((), ("--json",)):
            (await shown("streams", "list", *more, HUB_ISSUERS=str(file))).check()


def test_what_a_token_says_is_shown_escaped(tmp_path: Path) -> None:
    """Its claims and its kid, of whoever signed it."""
    claims = {"iss": EVIL, "sub": EVIL, "aud": EVIL, "scope": EVIL, "iat": 1, "exp": 2}
    token = jwt.encode(claims, SECRET, "HS256", {"kid": EVIL})
    for more in ((), ("--json",)):
        Shown("inspect", "--offline", *more, given=token, HUB_JWT_SECRET=SECRET).check()


def test_an_audit_log_is_shown_escaped(tmp_path: Path) -> None:
    """Somebody may have written into it."""
    file = tmp_path / "audit.log"
    file.write_text(json.dumps({"event": EVIL}, ensure_ascii=False) + "\n" + EVIL)
    ended = Shown("audit", "verify", str(file))
    assert ended.code == 1
    assert "\x1b]" not in ended.text


async def test_what_is_not_reached_is_told_escaped(tmp_path: Path) -> None:
    """An error that stops a command."""
    ended = await shown("sessions", "ada", "--url", f"http://127.0.0.1:{free_port()}/{EVIL}")
    assert ended.code == 1
    ended.check()


def test_text_of_every_script_is_shown_as_it_is() -> None:
    """Names of people are not garbled: only what acts on a terminal is."""
    for name in ("Łukasz Zażółć", "ادا", "שרה's laptop", "太郎のiPhone", "Ada 🙂", r"a\b"):
        assert escape(name) == name
    assert escape("a\x1b[0m\n\u202e") == r"a\x1b[0m\n\u202e"


def test_what_stops_a_command_is_told_escaped(tmp_path: Path) -> None:
    """An error in how it is used may quote what others have named, too."""
    file = tmp_path / "issuers.toml"
    iss = json.dumps("https://id.example/" + EVIL.replace("\x7f", ""))
    file.write_text(f'[[issuer]]\nsecret = "{SECRET}"\n[[transmitter]]\niss = {iss}\naud = "hub"\n')
    for args in (("streams", "list", "--transmitter", "x"), ("doctor", EVIL), ("watch", EVIL)):
        ended = Shown(*args, HUB_ISSUERS=str(file))
        assert ended.code == 2
        ended.check()


@pytest.mark.parametrize("path", sorted(Path(ROOT, "hub").rglob("*.py")), ids=str)
def test_everything_prints_by_what_escapes(path: Path) -> None:
    """Whoever adds a command, or a line to one, cannot forget it."""
    if path.relative_to(ROOT).as_posix() in PRINTERS:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        assert called not in {"click.echo", "click.secho", "click.ClickException", "print"}


@pytest.mark.parametrize("name", sorted({module for module, _ in COMMANDS.values()}))
def test_a_command_that_logs_has_set_up_its_log_lines(name: str) -> None:
    """Its log lines go to standard error, escaped; structlog's own would do neither."""
    reached, left = set[str](), [name]
    while left:
        if (module := left.pop()) not in reached:
            reached.add(module)
            left += modules_of(MODULES[module])
    reached -= {"hub.log"}
    logs = any("structlog.get_logger(" in MODULES[module].read_text() for module in reached)
    assert ("configure_logs(" in MODULES[name].read_text()) == logs
