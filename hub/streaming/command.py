"""The commands about event streams of the transmitters in the settings."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from hub.access.stream_notes import Kind
from hub.access.transmitter import TransmitterClient
from hub.access.transmitter_calls import TransmitterFailed, check_url
from hub.access.transmitters import name_of
from hub.console import (
    BadSetting,
    Failed,
    as_json,
    print_json,
    run,
    say,
)
from hub.core.transmitters import Delivery, Transmitter
from hub.environment import load_settings
from hub.errors import Unavailable
from hub.issuers_file import load_issuers_file
from hub.log import configure_logs
from hub.metrics import Metrics
from hub.settings import Settings
from hub.storage import create_store
from hub.store.base import Store
from hub.store.values import Note
from hub.streaming.management import Management, Overview, describe

Result = TypeVar("Result")

of_transmitter = click.option(
    "--transmitter", metavar="ISS", help="The transmitter, if the settings name several."
)
of_stream = click.option("--stream", metavar="ID", help="The stream, if there are several.")


@click.group(invoke_without_command=True)
@click.pass_context
def streams(context: click.Context) -> None:
    """Set up the event streams of HUB_ISSUERS' transmitters, and show what came.

    \b
    logout-hub streams
    logout-hub streams create --url https://hub.example/events
    logout-hub streams verify
    """
    if context.invoked_subcommand is None:
        context.invoke(list_command)


@streams.command("list")
@of_transmitter
@as_json
def list_command(transmitter: str | None = None, as_json: bool = False) -> None:
    """Show each stream: its status, and when the last event came. This is the default.

    Exits with 1 if a transmitter does not answer, or has no stream.
    """
    settings, chosen = _choose(transmitter)

    async def look() -> list[Overview]:
        async with _opened(settings) as store:
            return [await _managed(one, store, Management.look) for one in chosen]

    overviews = _run(look())
    if as_json:
        print_json([describe(one) for one in overviews])
    else:
        for one in overviews:
            _show(one, time.time())
    if any(one.problem is not None for one in overviews):
        raise SystemExit(1)


@streams.command()
@click.option("--url", metavar="URL", help="For push: the address of the hub's /events, from afar.")
@click.option(
    "--event",
    "events",
    metavar="URI",
    multiple=True,
    help="An event to ask for; may be repeated.  [default: all that the hub knows]",
)
@of_transmitter
def create(url: str | None, events: Sequence[str], transmitter: str | None) -> None:
    """Create a stream, delivered as the settings say."""
    settings, chosen = _choose(transmitter)
    one = _only(chosen)
    if (one.delivery is Delivery.PUSH) is (url is None):
        needs = "needs --url, the address of the hub's /events" if url is None else "takes no --url"
        raise click.UsageError(f"delivery = {one.delivery.value!r} {needs}.")
    if url is not None:
        try:
            check_url("--url", url)
        except TransmitterFailed as error:
            raise click.UsageError(f"{error}.") from None
    stream, warnings = _manage(settings, one, lambda management: management.create(url, events))
    say(f"created: {stream.stream_id}, for {len(stream.events_delivered)} kinds of events")
    for event in stream.events_delivered:
        say(f"  {event}")
    for warning in warnings:
        say(f"warning: {warning}", fg="yellow", err=True)


@streams.command()
@click.option(
    "--wait",
    type=click.FloatRange(1, 600),
    default=30.0,
    show_default=True,
    help="Seconds to wait for the event.",
)
@of_transmitter
@of_stream
def verify(wait: float, transmitter: str | None, stream: str | None) -> None:
    """Have a verification event sent, and wait until a running hub got it. Needs HUB_REDIS_URL."""
    settings, chosen = _choose(transmitter)
    if settings.redis_url is None:
        raise BadSetting("HUB_REDIS_URL is not set: the hub and this command meet in Redis")
    took, missing = _manage(
        settings, _only(chosen), lambda management: management.verify(stream, wait)
    )
    if took is None:
        raise Failed(f"not verified within {wait:g} s: {missing}")
    say(f"verified: the event came after {took:.1f} s")


@streams.command()
@of_transmitter
@of_stream
def pause(transmitter: str | None, stream: str | None) -> None:
    """Pause a stream: the transmitter keeps what happens, for as long as it pleases."""
    settings, chosen = _choose(transmitter)
    found = _manage(settings, _only(chosen), lambda one: one.change(stream, "paused"))
    say(f"paused: {found.stream_id}")


@streams.command()
@of_transmitter
@of_stream
def resume(transmitter: str | None, stream: str | None) -> None:
    """Resume a stream that was paused or disabled."""
    settings, chosen = _choose(transmitter)
    found = _manage(settings, _only(chosen), lambda one: one.change(stream, "enabled"))
    say(f"resumed: {found.stream_id}")


@streams.command()
@of_transmitter
@of_stream
def delete(transmitter: str | None, stream: str | None) -> None:
    """Delete a stream, with what it has not delivered."""
    settings, chosen = _choose(transmitter)
    found = _manage(settings, _only(chosen), lambda one: one.delete(stream))
    say(f"deleted: {found.stream_id}")


# ---- Which transmitter ----


def _choose(named: str | None) -> tuple[Settings, tuple[Transmitter, ...]]:
    """Return the settings, and the transmitters that are meant: all, or the named one."""
    settings = load_settings()
    configure_logs(settings.log_format)
    known = load_issuers_file(settings).transmitters
    if not known:
        raise BadSetting("HUB_ISSUERS: there is no [[transmitter]]")
    chosen = tuple(one for one in known if named in (None, one.iss, name_of(one)))
    if not chosen:
        names = ", ".join(map(name_of, known))
        raise click.UsageError(f"No transmitter is {named}; there are {names}.")
    return settings, chosen


def _only(chosen: tuple[Transmitter, ...]) -> Transmitter:
    if len(chosen) > 1:
        names = ", ".join(map(name_of, chosen))
        raise click.UsageError(f"There are several; give --transmitter, one of {names}.")
    return chosen[0]


# ---- Calls ----


@contextlib.asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Store | None]:
    """Open the store that hubs with these settings share; None if there is none."""
    if settings.redis_url is None:
        yield None
        return
    async with create_store(settings, Metrics()) as store:
        yield store


async def _managed(
    transmitter: Transmitter,
    store: Store | None,
    do: Callable[[Management], Coroutine[Any, Any, Result]],
) -> Result:
    async with contextlib.aclosing(TransmitterClient(transmitter)) as client:
        return await do(Management(client, store))


def _manage(
    settings: Settings,
    transmitter: Transmitter,
    do: Callable[[Management], Coroutine[Any, Any, Result]],
) -> Result:
    async def manage() -> Result:
        async with _opened(settings) as store:
            return await _managed(transmitter, store, do)

    return _run(manage())


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    try:
        return run(work)
    except TransmitterFailed as error:
        raise Failed(str(error)) from None
    except Unavailable as error:
        raise Failed(error.detail) from None


# ---- For people ----


def _show(overview: Overview, now: float) -> None:
    say(f"{name_of(overview.transmitter)}  {overview.transmitter.delivery.value}")
    if not overview.is_managed:
        _line("stream", "set up elsewhere: the settings have no access to the transmitter's API")
    for found in overview.streams:
        status = "status unknown" if found.status is None else found.status.status
        reason = "" if found.status is None else found.status.reason or ""
        _line("stream", f"{found.stream.stream_id}, {status}{f' ({reason})' if reason else ''}")
    if overview.problem is not None:
        _line("problem", overview.problem, fg="red")
    if overview.notes is None:
        _line("events", "not known without HUB_REDIS_URL")
        return
    _show_notes(overview, now)


def _show_notes(overview: Overview, now: float) -> None:
    notes = overview.notes or {}
    accepted = notes.get(Kind.ACCEPTED)
    if accepted is None:
        _line("events", "none came yet")
    else:
        came = f"{accepted.times} came, the last {_when(accepted, now)}"
        _line("events", f"{came}, {accepted.text} s after it was signed")
    if (refused := notes.get(Kind.REFUSED)) is not None:
        _line("refused", f"{refused.times}, the last {_when(refused, now)}: {refused.text}")
    verified, asked = notes.get(Kind.VERIFIED), notes.get(Kind.ASKED)
    if verified is not None:
        _line("verified", _when(verified, now))
    if asked is not None and (verified is None or verified.at < asked.at):
        _line("verified", f"not since it was asked for {_when(asked, now)}")
    for kind in (Kind.STATUS, Kind.POLLED, Kind.FAILED):
        if (note := notes.get(kind)) is not None:
            _line(kind, f"{_when(note, now)}: {note.text}" if note.text else _when(note, now))


def _line(head: str, text: str, fg: str | None = None) -> None:
    say(text, mark=f"  {head:<9} ", fg=fg)


def _when(note: Note, now: float) -> str:
    at = datetime.fromtimestamp(note.at / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return f"{at} ({_ago(now - note.at / 1e6)})"


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{max(0.0, seconds):.0f} s ago"
