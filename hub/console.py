"""What the commands share: settings, options, and how they report failures."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, BinaryIO, TypeVar

import click

from hub.environment import describe_settings
from hub.settings import Settings
from hub.terminal import encode_json, escape

Result = TypeVar("Result")

MAX_READ = 100_000


def say(
    text: str,
    *,
    mark: str = "",
    fg: str | None = None,
    bold: bool | None = None,
    err: bool = False,
) -> None:
    """Print a line for people, `escape`d; ``mark`` in front of it is our own, and may be styled."""
    shown = escape(text)
    styled = click.style(shown, fg=fg, bold=bold) if fg or bold else shown
    click.echo(mark + styled, err=err)


def print_json(value: Any) -> None:
    """Print a value as a line of JSON, for programs; it is harmless to a terminal too."""
    click.echo(encode_json(value))


def print_exactly(line: bytes) -> None:
    """Print a line of bytes: as it is for programs, `escape`d on a terminal."""
    click.echo(escape(line.decode(errors="replace")) if sys.stdout.isatty() else line)


class Failed(click.ClickException):
    """A command that failed, with exit code 1; shown in one line."""


class BadSetting(Failed):
    """A setting that stops the command, with exit code 2; shown in one line."""

    exit_code = 2


def fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop factory, where uvloop is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def run(main_coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine, on uvloop where it is installed."""
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        return runner.run(main_coroutine)


def address(host: str, port: int) -> str:
    """Return the URL of a hub on this host name, IPv4 or IPv6 address."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def operators_address(settings: Settings) -> str:
    """Return the URL for admin calls, by the settings."""
    if settings.admin_port is not None:
        return address(settings.admin_host, settings.admin_port)
    return address(settings.host, settings.port)


def setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for every setting."""
    for name, default, text, _ in reversed(describe_settings()):
        shown = f"{text}  [{name}{f', default {default}' if default else ''}]"
        option = "--" + name.removeprefix("HUB_").lower().replace("_", "-")
        command = click.option(option, default=None, help=shown)(command)
    return command


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
at_url = click.option(
    "--url",
    metavar="URL",
    default=None,
    help="The hub's address.  [default: http://HUB_HOST:HUB_PORT]",
)
of_issuer = click.option(
    "--iss", metavar="ISSUER", help="The user's issuer, if not HUB_JWT_ISSUER."
)


def read_token(file: BinaryIO) -> str:
    """Return the token in a file, without ``Authorization: Bearer``; stops without a token."""
    if file is sys.stdin.buffer and sys.stdin.isatty():
        click.echo("paste the token, then Enter and Ctrl+D:", err=True)
    text = file.read(MAX_READ + 1).decode("utf-8-sig", "replace").strip()
    token = text.removeprefix("Authorization:").strip()
    if token[:7].lower() == "bearer ":
        token = token[7:].strip()
    if not token:
        raise click.UsageError("There is no token on standard input, or in --token-file.")
    return token


def complete_address(url: str) -> str:
    """Return the URL of a hub with a scheme, and without a trailing slash."""
    return (url if "://" in url else f"http://{url}").rstrip("/")


def summarize(counts: dict[str, int]) -> str:
    """Return how many sessions are in each state, for people; empty without any."""
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
