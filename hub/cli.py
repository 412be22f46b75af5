"""The command line: ``logout-hub COMMAND``. Exit codes: 0, 1 (it failed), 2 (usage)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import secrets
import signal
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import click
import structlog
from pydantic import SecretStr

from hub import doctor as doctor_module
from hub.access.logouts import Logouts
from hub.access.minting import mint_token
from hub.api.openapi import hub_version
from hub.api.views import view_many
from hub.app import create_app, create_store
from hub.app import serve as serve_app
from hub.core.model import Logout, Reason, Scope, split_user_key
from hub.core.wire import describe_logout
from hub.errors import NotFound, Unavailable
from hub.log import configure_logs
from hub.metrics import Metrics
from hub.settings import Settings, SettingsError, describe_settings, load_settings
from hub.store.base import Gap, Heard, Loss

Result = TypeVar("Result")

WATCH_PATIENCE = 90.0
WATCHED = 1000
TIMEOUT = aiohttp.ClientTimeout(total=10)


class BadSetting(click.ClickException):
    """A setting stops the command; shown in one line."""

    exit_code = 2


def fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop, where uvloop exists."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def run(main_coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine on the fastest loop there is."""
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        return runner.run(main_coroutine)


def address(host: str, port: int) -> str:
    """Return the address of a hub on a host name, or an address of either kind."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def settings_or_stop(options: dict[str, Any] | None = None) -> Settings:
    """Return the settings, or stop the command with one line."""
    try:
        return load_settings(options)
    except SettingsError as error:
        raise BadSetting(str(error)) from None


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


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(hub_version(), prog_name="logout-hub")
def main() -> None:
    """Make a logout true everywhere, at once.

    Settings are read from the environment (HUB_…); `logout-hub serve --help` lists them. To see
    what it does, run `logout-hub serve --demo` and open the page.
    """


@main.command()
@click.option("--demo", is_flag=True, help="Serve the demo page, with tokens for anybody.")
@setting_options
def serve(demo: bool, **options: Any) -> None:
    """Run the hub.

    \b
    Try it:            logout-hub serve --demo
    For development:   HUB_JWT_SECRET=$(openssl rand -hex 32) logout-hub serve
    In production:     HUB_REDIS_URL=redis://… HUB_JWT_JWKS_URL=https://… logout-hub serve
    """
    settings = settings_or_stop(options)
    if demo and not settings.has_key:
        secret = SecretStr(secrets.token_hex(32))
        settings = settings.model_copy(update={"jwt_secret": secret})
    configure_logs(settings.log_format)
    try:
        app = create_app(settings, demo=demo)
    except SettingsError as error:
        raise BadSetting(str(error)) from None
    try:
        run(_serve(app, settings, demo=demo))
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}"
        ) from None


def _tell(settings: Settings, text: str) -> None:
    if settings.log_format == "json":
        structlog.get_logger("hub").info(text)
    else:
        click.echo(text, err=True)


def _calm_the_collector() -> None:
    # What was loaded at the start stays, so it need not be looked through again and again; and
    # sockets that come in thousands are no garbage.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


async def _serve(app: Any, settings: Settings, *, demo: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serve_app(app, settings.host, settings.port) as port:
        _calm_the_collector()
        where = address(settings.host, port)
        if demo:
            click.secho("\n  logout-hub demo", bold=True, err=True)
            click.secho("  For trying out only: anybody on this machine gets a token.", err=True)
            click.echo(f"\n  Open {where}/\n  Stop with Ctrl+C.\n", err=True)
        else:
            memory = "this process's memory (one replica only)"
            kept = memory if settings.redis_url is None else "Redis"
            _tell(settings, f"logout-hub on {where}, state in {kept}")
        await stop.wait()
        _tell(settings, "stopping")


@main.command()
@click.argument("user")
@click.option("--sid", help="The session; a new one by default.")
@click.option("--lifetime", default=900.0, show_default=True, help="Seconds until it expires.")
@click.option("--scope", help='OAuth scopes, such as "hub:admin".')
def token(user: str, sid: str | None, lifetime: float, scope: str | None) -> None:
    """Print a token of USER, signed with HUB_JWT_SECRET. For development only.

    \b
    TOKEN=$(logout-hub token ada)
    curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8080/session
    """
    settings = settings_or_stop()
    if settings.jwt_secret is None:
        raise BadSetting("HUB_JWT_SECRET is not set: only the issuer can sign your tokens")
    click.echo(
        mint_token(
            settings.jwt_secret.get_secret_value(),
            user,
            lifetime=lifetime,
            algorithm=settings.algorithms[0],
            sid=sid,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            scope=scope,
        )
    )


@main.command()
@click.argument("user")
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
@click.option("--message", help="Words for the user.")
@of_issuer
@at_url
@as_json
def logout(user: str, url: str | None, as_json: bool, **asked: str | None) -> None:
    """Log USER out, everywhere or from one session. Needs HUB_ADMIN_TOKEN.

    \b
    logout-hub logout ada --reason password_changed
    logout-hub logout ada --sid 0Zr4…  --message "This phone was reported lost."
    """
    body = {"user": user, **{name: value for name, value in asked.items() if value is not None}}
    answer = run(_call("POST", "/admin/logout", url, body))
    if as_json:
        click.echo(json.dumps(answer))
        return
    ended = answer["sessions"]
    click.echo(f"{user} is logged out ({answer['scope']}): {len(ended)} known sessions ended")
    for session in ended:
        click.echo(f"  {session['state']:<12} {session['device'] or '-'}  {session['sid']}")


@main.command()
@click.argument("user")
@of_issuer
@at_url
@as_json
def sessions(user: str, iss: str | None, url: str | None, as_json: bool) -> None:
    """List where USER is logged in. Needs HUB_ADMIN_TOKEN."""
    path = f"/admin/users/{quote(user, safe='')}/sessions"
    answer = run(_call("GET", path + (f"?iss={quote(iss, safe='')}" if iss else ""), url))
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


@main.command()
@as_json
def watch(as_json: bool) -> None:
    """Follow logouts as they happen. Needs HUB_REDIS_URL. Stop with Ctrl+C."""
    settings = settings_or_stop()
    if settings.redis_url is None:
        raise BadSetting("HUB_REDIS_URL is not set: an embedded store cannot be watched")
    with contextlib.suppress(KeyboardInterrupt):
        try:
            run(_watch(settings, as_json=as_json))
        except Unavailable as error:
            raise click.ClickException(error.detail) from None


async def _watch(settings: Settings, *, as_json: bool) -> None:
    async with create_store(settings) as store:
        seen: deque[str] = deque(maxlen=WATCHED)
        shown: set[asyncio.Task[None]] = set()
        logouts = Logouts(store, Metrics())
        async for event in store.follow():
            match event:
                case Gap():
                    click.echo("watching logouts", err=True)
                case Loss():
                    click.secho(
                        "the store lost what it knew of earlier logouts", fg="red", err=True
                    )
                case Heard(logout) if logout.id not in seen:
                    # Several users' logout, or everyone's, is heard once for each part of them.
                    seen.append(logout.id)
                    task = asyncio.create_task(_show(logouts, logout, as_json=as_json))
                    shown.add(task)
                    task.add_done_callback(shown.discard)


async def _show(logouts: Logouts, logout: Logout, *, as_json: bool) -> None:
    iss, sub = split_user_key(logout.user) if logout.user is not None else ("", None)
    told = {"user": sub, "iss": iss, **describe_logout(logout)}
    when = datetime.fromtimestamp(logout.at / 1e6, UTC).strftime("%H:%M:%S.%f")[:-3]
    who = "everyone" if sub is None else sub
    sid = f" {logout.sid}" if logout.sid else ""
    line = f"{when}Z  {who}  {logout.scope}{sid}  {logout.reason}  {logout.id}"
    click.echo(json.dumps(told) if as_json else line)
    patience = logout.spread + WATCH_PATIENCE
    with contextlib.suppress(NotFound, Unavailable):
        receipt = await logouts.read(logout.id, None, patience)
        counts = view_many(receipt).states
        if as_json:
            known = {"receipt": logout.id, "states": counts, "complete": receipt.complete}
            click.echo(json.dumps(known))
        else:
            summary = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
            end = "" if receipt.complete else " (not complete)"
            click.echo(f"{'':15}{who}: {summary or 'no sessions'}{end}  {logout.id}")


@main.command()
@as_json
def doctor(as_json: bool) -> None:
    """Check settings, store and clock, and say what to mend. Exits with 1 when anything is bad."""
    try:
        findings = run(doctor_module.examine(load_settings()))
    except SettingsError as error:
        findings = [doctor_module.Finding("settings", "bad", str(error))]
    if as_json:
        click.echo(json.dumps([finding.describe() for finding in findings]))
    else:
        colours = {"good": "green", "fair": "yellow", "bad": "red"}
        for finding in findings:
            level = click.style(f"{finding.level:<5}", fg=colours[finding.level])
            click.echo(f"{level} {finding.check}: {finding.detail}")
    if any(finding.level == "bad" for finding in findings):
        raise SystemExit(1)


async def _call(method: str, path: str, url: str | None, body: Any = None) -> Any:
    settings = settings_or_stop()
    if settings.admin_token is None:
        raise BadSetting("HUB_ADMIN_TOKEN is not set: administrators only")
    base = url or address(settings.host, settings.port)
    headers = {"Authorization": f"Bearer {settings.admin_token.get_secret_value()}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT, headers=headers) as http,
            http.request(method, base.rstrip("/") + path, json=body) as answer,
        ):
            told = await answer.json(content_type=None)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise click.ClickException(f"no answer from a hub at {base}: {error}") from None
    if answer.status != 200:
        detail = told.get("detail", told) if isinstance(told, dict) else told
        raise click.ClickException(f"the hub refused ({answer.status}): {detail}")
    return told
