"""The command ``inspect``: reads a token, finds the keys, and prints the verdict."""

from __future__ import annotations

import contextlib
import time
from typing import BinaryIO

import click

from hub.access.issuers import make_keys
from hub.access.keys import JwksKeys
from hub.console import (
    as_json,
    print_json,
    read_token,
    run,
    say,
)
from hub.core.issuers import Entry
from hub.core.tokens import Header
from hub.environment import load_settings
from hub.errors import HubError
from hub.inspection.envelope import Found
from hub.inspection.text import show
from hub.inspection.verdict import Inspection, choose
from hub.inspection.verdict import inspect as inspect_token
from hub.issuers_file import load_entries
from hub.log import configure_logs

COLOURS = {"good": "green", "fair": "yellow", "bad": "red", "unchecked": "yellow"}


@click.command("inspect")
@click.option(
    "--token-file",
    metavar="FILE",
    type=click.File("rb"),
    default="-",
    help="A file that holds the token.  [default: standard input]",
)
@click.option("--offline", is_flag=True, help="Fetch no keys: the signature may stay unchecked.")
@as_json
def inspect(token_file: BinaryIO, offline: bool, as_json: bool) -> None:
    """Say whether the hub accepts a token, and if not, why and what to change.

    The token is read from standard input or a file, since other users can see the arguments of a
    command. Exits with 1 when the hub would refuse it. Logouts are not checked.

    \b
    logout-hub inspect < token.txt
    pbpaste | logout-hub inspect --json
    """
    settings = load_settings()
    configure_logs(settings.log_format)
    entries = load_entries(settings)
    token = read_token(token_file)
    chosen = choose(token, entries)
    found = run(_find_keys(*chosen, offline=offline)) if chosen else None
    now = time.time_ns() // 1000
    inspection = inspect_token(token, entries, found, now, in_file=settings.issuers is not None)
    if as_json:
        print_json(inspection.describe())
    else:
        _show(inspection)
    if inspection.taken is False:
        raise SystemExit(1)


async def _find_keys(header: Header, entry: Entry, *, offline: bool) -> Found:
    if offline and entry.keys.is_fetched:
        return None
    async with contextlib.AsyncExitStack() as stack:
        keys = make_keys(entry.keys)
        if isinstance(keys, JwksKeys):
            stack.push_async_callback(keys.aclose)
        try:
            return await keys.find(header)
        except HubError as error:
            return error


def _show(inspection: Inspection) -> None:
    refusal, reading = inspection.refusal, inspection.reading
    if refusal is not None:
        verdict = f"refused: {refusal.code}, {refusal.detail or refusal.title}"
    elif inspection.taken:
        verdict = "the hub accepts this token, if no logout ended it"
    else:
        verdict = "the hub accepts this token, if its signature is right and no logout ended it"
    say(verdict, fg="green" if refusal is None else "red", bold=True)
    for check in inspection.checks:
        level = click.style(f"{check.verdict:<9}", fg=COLOURS[check.verdict])
        say(f" {check.name}: {check.detail}", mark=level)
        if check.advice:
            say(f"{'':9}   change: {check.advice}")
    if reading is not None and reading.identity.scopes:
        say(f"{'':9} scopes: {show(' '.join(reading.identity.scopes))}")
