"""The commands that call a hub as an administrator: end sessions, and list them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TextIO
from urllib.parse import quote, urlencode

import aiohttp
import click

from hub.access.parameters import MAX_PAGE
from hub.access.requests import MAX_SPREAD, MAX_USERS
from hub.console import (
    BadSetting,
    Failed,
    as_json,
    at_url,
    complete_address,
    of_issuer,
    operators_address,
    print_json,
    run,
    say,
    summarize,
)
from hub.core.model import Reason, Scope, State
from hub.environment import load_settings

TIMEOUT = aiohttp.ClientTimeout(total=30)
POLL = 2


@click.command()
@click.argument("users", metavar="[USER]...", nargs=-1)
@click.option(
    "--from",
    "source",
    # Excel and PowerShell begin a file with a byte order mark.
    type=click.File(encoding="utf-8-sig"),
    help="A file, one user per line; - is stdin.",
)
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
            say(f"warning: {warning}", fg="yellow", err=True)
        if as_json:
            print_json(answer)
        elif "sessions" in answer:
            _show_one(names[0], answer)
        else:
            _show_many(answer)


def _read_names(source: TextIO | None) -> list[str]:
    try:
        return [line.strip() for line in source or () if line.strip()]
    except UnicodeDecodeError:
        raise click.UsageError("The file of --from is not UTF-8.") from None


async def _log_out(
    names: Sequence[str], body: dict[str, Any], url: str | None, *, wait: bool, quiet: bool
) -> list[Any]:
    whom: list[dict[str, Any]] = [{"everyone": True}]
    if len(names) == 1:
        whom = [{"user": names[0]}]
    elif names:
        starts = range(0, len(names), MAX_USERS)
        whom = [{"users": names[start : start + MAX_USERS]} for start in starts]
    answers = [await _call("POST", "/admin/logout", url, {**body, **who}) for who in whom]
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
            answer = await _call("GET", f"/logouts/{answer['id']}?wait={POLL}", url)
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
    say(f"{user} is logged out ({answer['scope']}): {len(ended)} known sessions ended")
    for session in ended:
        left = ", ".join(session.get("failed", ()))
        note = f"  (not cleared: {left})" if left else ""
        say(f"  {session['state']:<12} {session['device'] or '-'}  {session['sid']}{note}")


def _show_many(answer: Any) -> None:
    who = "everyone is" if answer["everyone"] else f"{answer['users']} users are"
    more = "" if answer["complete"] else " so far"
    counts = summarize(answer["states"]) or "none"
    say(f"{who} logged out; sessions{more}: {counts}  {answer['id']}")


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
        print_json({"id": logout_id, "sessions": ended})
        return
    if not ended:
        say(f"no sessions{f' are {state}' if state else ''}", err=True)
    for session in ended:
        shown = "waiting" if session.get("waiting") else session["state"]
        left = ", ".join(session.get("failed", ()))
        note = f"  (not cleared: {left})" if left else ""
        place = f"{session['user']}  {session['device'] or '-'}  {session['sid']}"
        say(f"{shown:<12}  {place}{note}")


async def _read_all(path: str, query: dict[str, str], url: str | None) -> list[Any]:
    found, given = [], {**query, "limit": str(MAX_PAGE)}
    while True:
        page = await _call("GET", f"{path}?{urlencode(given)}", url)
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
    answer = run(_call("GET", path + (f"?iss={quote(iss, safe='')}" if iss else ""), url))
    if as_json:
        print_json(answer)
        return
    if not answer["sessions"]:
        say(f"{user} has no sessions", err=True)
    for session in answer["sessions"]:
        seen = datetime.fromtimestamp(session["last_seen_at"], UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        state = "online" if session["online"] else f"seen {seen}"
        place = f"{session['device']}  {session['ip']}  {state}"
        say(f"{session['sid']}  {place}")


async def _call(method: str, path: str, url: str | None, body: Any = None) -> Any:
    """Call a hub as an administrator and return the body; stops the command on a refusal."""
    settings = load_settings()
    if settings.admin_token is None:
        raise BadSetting("HUB_ADMIN_TOKEN is not set: administrators only")
    base = complete_address(url or operators_address(settings))
    headers = {"Authorization": f"Bearer {settings.admin_token.get_secret_value()}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT, headers=headers) as http,
            http.request(method, base + path, json=body) as answer,
        ):
            answered = await answer.json(content_type=None)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise Failed(f"no answer from a hub at {base}: {error}") from None
    if answer.status != 200:
        detail = answered.get("detail", answered) if isinstance(answered, dict) else answered
        if answer.status == 401:
            detail = f"HUB_ADMIN_TOKEN is not the one of the hub at {base} ({detail})"
        raise Failed(f"the hub refused ({answer.status}): {detail}")
    return answered
