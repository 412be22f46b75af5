"""The commands about the audit log: is it whole?"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import BinaryIO

import click
import msgspec

from hub.console import as_json
from hub.core.audit import MAX_LINE, Report, verify


@click.group()
def audit() -> None:
    """Check an audit log that HUB_AUDIT_FILE made."""


@audit.command("verify")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.File("rb"))
@as_json
def verify_command(files: tuple[BinaryIO, ...], as_json: bool) -> None:
    """Say which lines of FILE were cut, changed, reordered or removed, and exit with 1 if any was.

    Rotated files of one log are given together, the oldest first; - is standard input.
    """
    report = verify(itertools.chain.from_iterable(_lines(file) for file in files))
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(report)))
    else:
        _show(report)
    if report.faults:
        raise SystemExit(1)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    # A line that is longer than any of the hub's comes in pieces, none of which is an entry.
    while line := file.readline(MAX_LINE + 1):
        yield line


def _show(report: Report) -> None:
    for fault in report.faults:
        what = click.style(f"{fault.what:<9}", fg="red")
        click.echo(f"line {fault.line}: {what} {fault.detail}")
    state = "broken" if report.faults else "whole"
    if report.first is None:
        click.echo(f"{state}: no entries")
        return
    found = f"{report.entries} entries, {report.first} to {report.last}"
    click.echo(f"{state}: {found}, the last {report.hash}")
