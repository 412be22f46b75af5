"""The commands for administrators: end sessions, list them, and watch logouts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO
from urllib.parse import quote, urlencode

import click

from hub.access.logouts import Logouts
from hub.access.requests import MAX_PAGE, MAX_SPREAD, MAX_USERS
from hub.access.views import as_payload, view_logout
from hub.console import BadSetting, as_json, at_url, call, of_issuer, run, settings_or_stop
from hub.core.model import Logout, Reason, Scope, State, split_user_key
from hub.core.receipt import count_states
from hub.errors import NotFound, Unavailable
from hub.issuers_file import load_entries
from hub.metrics import Metrics
from hub.settings import Settings
from hub.storage import create_store
from hub.store.base import Confirmed, DataLoss, Gap, Interrupted, LogoutEvent

WATCH_PATIENCE = 90.0
WATCHED = 1000
POLL = 2


@click.command()
@click.argument("users", metavar="[USER]...", nargs=-1)
@click.option("--from", "source", type=click.File(), help="A file, one user per line; - is stdin.")
@click.option("--everyone", is_flag=True, help="Every user of every issuer.")
@click.option(
    "--scope", type=click.Choice([scope.value for scope in Scope]), help="Which sessions."
)
@click.option("--sid", help="The session to end, or with --scope others the one to keep.")
@click.option(
    "--reason",
    type=click.Choice([reason.value for reason in Reason]),
    default=Reason.ADMIN.value,
    show_default=True,
    help="Why; shown to the user.",
)
@click.option("--message", help="A message for the user.")
@click.option(
    "--spread",
    metavar="SECONDS",
    type=click.IntRange(0, MAX_SPREAD),
    help="Notify devices over this time; the sessions end at once.",
)
@click.option("--wait", is_flag=True, help="Wait for every device to be notified, and show it.")
@of_issuer
@at_url
@as_json
def logout(
    users: tuple[str, ...],
    source: TextIO | None,
    everyone: bool,
    spread: int | None,
    wait: bool,
    url: str | None,
    as_json: bool,
    **asked: str | None,
) -> None:
    """Log users out, everywhere or from one session. Needs HUB_ADMIN_TOKEN.

    \b
    logout-hub logout ada --reason password_changed
    logout-hub logout ada --sid 0Zr4…  --message "This phone was reported lost."
    logout-hub logout --from users.txt --reason policy --spread 120 --wait
    logout-hub logout --everyone --reason suspicious
    """
    names = [*users, *_read_names(source)]
    if everyone == bool(names):
        raise click.UsageError("Name users, or give --everyone.")
    if asked["sid"] is not None and (everyone or len(names) > 1):
        raise click.UsageError("--sid goes with one user.")
    if asked["scope"] == Scope.OTHERS.value and asked["sid"] is None:
        raise click.UsageError("--scope others needs --sid, the session to keep.")
    body = {name: value for name, value in asked.items() if value is not None}
    if spread is not None:
        body["spread_seconds"] = spread  # type: ignore[assignment]
    answers = run(_log_out(names, body, url, wait=wait, quiet=as_json))
    for answer in answers:
        for warning in answer.get("warnings", ()):
            click.secho(f"warning: {warning}", fg="yellow", err=True)
        if as_json:
            click.echo(json.dumps(answer))
        elif "sessions" in answer:
            _show_one(names[0], answer)
        else:
            _show_many(answer)


def _read_names(source: TextIO | None) -> list[str]:
    return [line.strip() for line in source or () if line.strip()]


async def _log_out(
    names: Sequence[str], body: dict[str, Any], url: str | None, *, wait: bool, quiet: bool
) -> list[Any]:
    whom: list[dict[str, Any]] = [{"everyone": True}]
    if len(names) == 1:
        whom = [{"user": names[0]}]
    elif names:
        starts = range(0, len(names), MAX_USERS)
        whom = [{"users": names[start : start + MAX_USERS]} for start in starts]
    answers = [await call("POST", "/admin/logout", url, {**body, **who}) for who in whom]
    if not wait:
        return answers
    done = [await _await_receipt(answer, url, quiet=quiet) for answer in answers]
    return [
        {**end, "warnings": answer["warnings"]} for answer, end in zip(answers, done, strict=True)
    ]


async def _await_receipt(answer: Any, url: str | None, *, quiet: bool) -> Any:
    """Poll a receipt until it is complete, with a progress bar.

    The number of sessions is known once the logout is written, so the bar has its length.
    """
    length = max(1, sum(_count(answer).values()))
    with click.progressbar(length=length, label="notified", hidden=quiet, file=sys.stderr) as bar:
        while not answer["complete"]:
            answer = await call("GET", f"/logouts/{answer['id']}?wait={POLL}", url)
            counts = _count(answer)
            # A replica may be late to report how many sessions it holds.
            bar.length = max(bar.length or 1, sum(counts.values()))
            waiting = answer.get("waiting", counts.get(State.NOTIFIED.value, 0))
            bar.update(max(0, sum(counts.values()) - waiting - bar.pos))
        bar.update((bar.length or 1) - bar.pos)
    return answer


def _count(answer: Any) -> dict[str, int]:
    if "states" in answer:
        counts: dict[str, int] = answer["states"]
        return counts
    states = [session["state"] for session in answer["sessions"]]
    return {state: states.count(state) for state in states}


def _show_one(user: str, answer: Any) -> None:
    ended = answer["sessions"]
    click.echo(f"{user} is logged out ({answer['scope']}): {len(ended)} known sessions ended")
    for session in ended:
        left = ", ".join(session.get("failed", ()))
        note = f"  (not cleared: {left})" if left else ""
        click.echo(f"  {session['state']:<12} {session['device'] or '-'}  {session['sid']}{note}")


def _show_many(answer: Any) -> None:
    who = "everyone is" if answer["everyone"] else f"{answer['users']} users are"
    more = "" if answer["complete"] else " so far"
    counts = _summarize(answer["states"]) or "none"
    click.echo(f"{who} logged out; sessions{more}: {counts}  {answer['id']}")


def _summarize(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))


@click.command()
@click.argument("logout_id", metavar="ID")
@click.option(
    "--state",
    type=click.Choice([state.value for state in State]),
    help="Only sessions in this state.",
)
@at_url
@as_json
def receipt(logout_id: str, state: str | None, url: str | None, as_json: bool) -> None:
    """List the sessions of the logout ID and what became of each. Needs HUB_ADMIN_TOKEN.

    \b
    logout-hub receipt XWhSOHZJ… --state notified
    """
    path = f"/logouts/{quote(logout_id, safe='')}/sessions"
    ended = run(_read_all(path, {"state": state} if state else {}, url))
    if as_json:
        click.echo(json.dumps({"id": logout_id, "sessions": ended}))
        return
    if not ended:
        click.echo(f"no sessions{f' are {state}' if state else ''}", err=True)
    for session in ended:
        shown = "waiting" if session.get("waiting") else session["state"]
        left = ", ".join(session.get("failed", ()))
        note = f"  (not cleared: {left})" if left else ""
        place = f"{session['user']}  {session['device'] or '-'}  {session['sid']}"
        click.echo(f"{shown:<12}  {place}{note}")


async def _read_all(path: str, query: dict[str, str], url: str | None) -> list[Any]:
    found, given = [], {**query, "limit": str(MAX_PAGE)}
    while True:
        page = await call("GET", f"{path}?{urlencode(given)}", url)
        found += page["sessions"]
        if page["next"] is None:
            return found
        given["after"] = page["next"]


@click.command()
@click.argument("user")
@of_issuer
@at_url
@as_json
def sessions(user: str, iss: str | None, url: str | None, as_json: bool) -> None:
    """List where USER is logged in. Needs HUB_ADMIN_TOKEN."""
    path = f"/admin/users/{quote(user, safe='')}/sessions"
    answer = run(call("GET", path + (f"?iss={quote(iss, safe='')}" if iss else ""), url))
    if as_json:
        click.echo(json.dumps(answer))
        return
    if not answer["sessions"]:
        click.echo(f"{user} has no sessions", err=True)
    for session in answer["sessions"]:
        seen = datetime.fromtimestamp(session["last_seen_at"], UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        state = "online" if session["online"] else f"seen {seen}"
        place = f"{session['device']}  {session['ip']}  {state}"
        click.echo(f"{session['sid']}  {place}")


@click.command()
@as_json
def watch(as_json: bool) -> None:
    """Follow logouts as they happen. Needs HUB_REDIS_URL. Stop with Ctrl+C."""
    settings = settings_or_stop()
    if settings.redis_url is None:
        raise BadSetting("HUB_REDIS_URL is not set: the embedded store cannot be watched")
    with contextlib.suppress(KeyboardInterrupt):
        try:
            run(_watch(settings, as_json=as_json))
        except Unavailable as error:
            raise click.ClickException(error.detail) from None


async def _watch(settings: Settings, *, as_json: bool) -> None:
    entries = load_entries(settings) if settings.has_key else ()
    async with create_store(settings, Metrics(), entries) as store:
        seen: deque[str] = deque(maxlen=WATCHED)
        shown: set[asyncio.Task[None]] = set()
        lost: set[int] = set()
        unheard: set[int] = set()
        is_watching = False
        logouts = Logouts(store, Metrics())
        async for event in store.follow():
            match event:
                case Gap() if not is_watching:
                    is_watching = True
                    click.echo("watching logouts", err=True)
                case Confirmed(partitions):
                    lost -= partitions
                    if again := unheard & partitions:
                        unheard -= again
                        click.echo(f"watching partitions {_list(again)} again", err=True)
                case Interrupted(partitions, reason) if (
                    not unheard.issuperset(partitions) and len(partitions) < store.partition_count
                ):
                    unheard |= partitions
                    told = f"partitions {_list(partitions)} cannot be watched: {reason}"
                    click.secho(told, fg="yellow", err=True)
                case DataLoss(part) if part not in lost:
                    if not lost:
                        click.secho("the store lost what it knew", fg="red", err=True)
                    lost.add(part)
                case LogoutEvent(logout) if logout.id not in seen:
                    # A logout of several users, or of everyone, is in the log of each partition.
                    seen.append(logout.id)
                    task = asyncio.create_task(_show(logouts, logout, as_json=as_json))
                    shown.add(task)
                    task.add_done_callback(shown.discard)


def _list(partitions: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(partitions)))


async def _show(logouts: Logouts, logout: Logout, *, as_json: bool) -> None:
    iss, sub = split_user_key(logout.user) if logout.user is not None else ("", None)
    payload = {"user": sub, "iss": iss, **as_payload(view_logout(logout))}
    when = datetime.fromtimestamp(logout.at / 1e6, UTC).strftime("%H:%M:%S.%f")[:-3]
    who = "everyone" if sub is None else sub
    sid = f" {logout.sid}" if logout.sid else ""
    line = f"{when}Z  {who}  {logout.scope}{sid}  {logout.reason}  {logout.id}"
    click.echo(json.dumps(payload) if as_json else line)
    patience = logout.spread + WATCH_PATIENCE
    with contextlib.suppress(NotFound, Unavailable):
        receipt = await logouts.read(logout.id, None, patience)
        counts = {state.value: count for state, count in count_states(receipt).items()}
        if as_json:
            known = {"receipt": logout.id, "states": counts, "complete": receipt.complete}
            click.echo(json.dumps(known))
        else:
            summary = _summarize(counts) or "no sessions"
            end = "" if receipt.complete else " (not complete)"
            whose = f"{receipt.users} users" if receipt.users > 1 else who
            click.echo(f"{'':15}{whose}: {summary}{end}  {logout.id}")
