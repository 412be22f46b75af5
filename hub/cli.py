"""The command line: ``logout-hub COMMAND``. Exit codes: 0, 1 (it failed), 2 (usage)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from hub.terminal import escape
from hub.version import hub_version

COMMANDS = {
    "admin-token": (
        "hub.minting",
        "Create a credential called NAME for admin calls, and print it: it is not stored.",
    ),
    "audit": (
        "hub.auditing",
        "Check an audit log that HUB_AUDIT_FILE made, and read its copy in Redis.",
    ),
    "doctor": ("hub.examining", "Check settings, issuers, store and clock, and say what to fix."),
    "inspect": (
        "hub.inspection.command",
        "Say whether the hub accepts a token, and if not, why and what to change.",
    ),
    "logout": ("hub.commands", "Log users out, everywhere or from one session."),
    "probe": (
        "hub.probing.command",
        "Connect to a hub as stock clients do, log that one session out, and say what worked.",
    ),
    "receipt": (
        "hub.commands",
        "List the sessions of the logout ID and what became of each.",
    ),
    "serve": ("hub.serving", "Run the hub."),
    "sessions": ("hub.commands", "List where USER is logged in."),
    "streams": (
        "hub.streaming.command",
        "Set up the event streams of HUB_ISSUERS' transmitters, and show what came.",
    ),
    "token": ("hub.minting", "Print a token of USER, signed with HUB_JWT_SECRET."),
    "watch": ("hub.watching", "Follow logouts and signals as they happen."),
}
"""Each command: the module that it is in, and what the list of commands says about it."""


def load_command(name: str) -> click.Command:
    """Return a command of `COMMANDS`."""
    module, _ = COMMANDS[name]
    command: click.Command = getattr(import_module(module), name.replace("-", "_"))
    return command


def _stopped_by_settings(invoke: Callable[[click.Context], Any], context: click.Context) -> Any:
    """Run a command, which any wrong setting stops with one line."""
    try:
        return invoke(context)
    except ValueError as error:
        # Imported where a command has imported them: help is shown without.
        from hub.console import BadSetting
        from hub.settings import SettingsError

        if isinstance(error, SettingsError):
            raise BadSetting(str(error)) from None
        raise


class Commands(click.Group):
    """Commands whose modules are imported when they are used: a hub's libraries load slowly."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of the help."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, or None."""
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error that stops it may quote what others have named."""
        try:
            return _stopped_by_settings(super().invoke, ctx)
        except click.ClickException as error:
            vars(error)["message"] = escape(error.message)  # which click declares as final
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


def open_standard_streams() -> None:
    """Connect those streams with the null device that were closed when Python started (``2>&-``).

    The next file or event loop would otherwise get such a descriptor, upon which uvloop aborts.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - for as long as we run


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(hub_version(), prog_name="logout-hub")
def main() -> None:
    """Make a logout true everywhere, at once.

    Settings are read from the environment (HUB_…); `logout-hub serve --help` lists them. To try it
    out, run `logout-hub serve --demo` and open the page.
    """
    open_standard_streams()
