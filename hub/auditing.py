"""The commands about the audit log: verify it, and print its copy."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import click
import msgspec

from hub.console import (
    BadSetting,
    Failed,
    as_json,
    print_exactly,
    print_json,
    run,
    say,
)
from hub.core.audit import MAX_LINE, Report, read_entry, verify
from hub.core.audit_copy import Compared, Copies
from hub.environment import load_settings
from hub.errors import Unavailable
from hub.log import configure_logs
from hub.store.audit_stream import AuditStream


@click.group()
def audit() -> None:
    """Check an audit log that HUB_AUDIT_FILE made, and read its copy in Redis."""


@audit.command("verify")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.File("rb"))
@click.option("--store", is_flag=True, help="Also compare with the copy in Redis (HUB_REDIS_URL).")
@as_json
def verify_command(files: tuple[BinaryIO, ...], store: bool, as_json: bool) -> None:
    """Say which lines of FILE were cut, changed, reordered or removed, and exit with 1 if any was.

    Give rotated files of one log together, oldest first; - is standard input. With --store, include
    the newest file: lines that were removed from its end are found as well.
    """
    # Read first, so that whatever is in the copy is in the files already.
    copies = Copies(_copied()) if store else None
    lines = _Counted(itertools.chain.from_iterable(_lines(file) for file in files))
    report = verify(lines) if copies is None else verify(lines, copies.take)
    compared = None if copies is None else copies.compare(lines.count + 1)
    if as_json:
        shown = msgspec.to_builtins(report)
        print_json(shown | {"store": msgspec.to_builtins(compared)} if store else shown)
    else:
        _show(report, compared)
    if report.faults or (compared is not None and compared.faults):
        raise SystemExit(1)


@audit.command("copy")
@click.option("--replica", metavar="NAME", help="Only of this replica (HUB_REPLICA).")
def copy_command(replica: str | None) -> None:
    """Print the lines that were copied to Redis (HUB_REDIS_URL), oldest first, each once."""
    seen: set[str] = set()
    for line in _copied():
        entry = read_entry(line)
        if entry is not None:
            if entry.hash in seen or replica not in (None, entry.replica):
                continue
            seen.add(entry.hash)
        print_exactly(line)


class _Counted:
    """Iterates over lines, and counts them."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.count += 1
            yield line


def _lines(file: BinaryIO) -> Iterator[bytes]:
    # A line longer than the hub writes is read in pieces, none of which is an entry.
    while line := file.readline(MAX_LINE + 1):
        yield line


def _copied() -> list[bytes]:
    settings = load_settings()
    configure_logs(settings.log_format)
    if settings.redis_url is None:
        raise BadSetting("HUB_REDIS_URL is not set: the audit log is copied to Redis alone")
    try:
        return run(_read(settings.redis_url.get_secret_value()))
    except Unavailable as error:
        raise Failed(error.detail) from None


async def _read(url: str) -> list[bytes]:
    stream = AuditStream(url)
    try:
        return [line async for line in stream.read()]
    finally:
        await stream.close()


def _show(report: Report, compared: Compared | None) -> None:
    faults = report.faults + (() if compared is None else compared.faults)
    for fault in faults:
        what = click.style(f"{fault.what:<9}", fg="red")
        say(f" {fault.detail}", mark=f"line {fault.line}: {what}")
    state = "broken" if faults else "whole"
    if report.first is None:
        say(f"{state}: no entries")
    else:
        found = f"{report.entries} entries, {report.first} to {report.last}"
        say(f"{state}: {found}, the last {report.hash}")
    if compared is not None:
        say(
            f"in the store: {compared.copied} the same, {compared.uncopied} without a copy, "
            f"{compared.others} of other chains of these replicas"
        )
