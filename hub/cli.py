"""The command line: ``logout-hub COMMAND``. Exit codes: 0, 1 (it failed), 2 (usage)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import click
import structlog
from aiohttp import web

from hub import commands
from hub import doctor as doctor_module
from hub.access.administrators import make_credential
from hub.access.minting import mint_token
from hub.api.open_files import allow_many_files
from hub.api.openapi import hub_version
from hub.api.services import SERVICES
from hub.app import RELOADS, create_app
from hub.app import serve as serve_app
from hub.auditing import audit
from hub.console import (
    BadSetting,
    address,
    as_json,
    complete_address,
    run,
    setting_options,
    settings_or_stop,
)
from hub.core.rights import Right, check_name
from hub.inspection.command import inspect
from hub.log import configure_logs
from hub.probing.command import probe
from hub.settings import Settings, SettingsError, load_settings

reloading: set[asyncio.Future[None]] = set()
"""Tasks that SIGHUP started, referenced until they are done."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(hub_version(), prog_name="logout-hub")
def main() -> None:
    """Make a logout true everywhere, at once.

    Settings are read from the environment (HUB_…); `logout-hub serve --help` lists them. To try it
    out, run `logout-hub serve --demo` and open the page.
    """


main.add_command(commands.logout)
main.add_command(commands.receipt)
main.add_command(commands.sessions)
main.add_command(commands.watch)
main.add_command(inspect)
main.add_command(probe)
main.add_command(audit)


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
    configure_logs(settings.log_format)
    try:
        run(doctor_module.refuse_unsafe(settings))
        app = create_app(settings, demo=demo)
    except SettingsError as error:
        raise BadSetting(str(error)) from None
    try:
        run(_serve(app, settings, demo=demo))
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}"
        ) from None


def _announce(settings: Settings, text: str) -> None:
    if settings.log_format == "json":
        structlog.get_logger("hub").info(text)
    else:
        with contextlib.suppress(OSError):  # nobody reads standard error
            click.echo(text, err=True)


def _explain_commands(given: Settings, settings: Settings, where: str) -> str:
    """Return how to run admin commands from another terminal, for the demo.

    A generated admin token is shown, as it is good for this run only; one that was set is secret.
    """
    name = Path(sys.argv[0])
    program = "logout-hub" if shutil.which("logout-hub") == str(name) else str(name)
    if name.name == "__main__.py":
        program = f"{sys.executable} -m hub"
    shown = "…    # as it is set here"
    if given.admin_token is None and settings.admin_token is not None:
        shown = settings.admin_token.get_secret_value()
    return (
        "  From another terminal, in the same folder:\n"
        f"    export HUB_ADMIN_TOKEN={shown}\n"
        f"    {program} sessions ada --url {where}\n"
        f"    {program} logout ada --url {where}\n"
    )


def _tune_garbage_collection() -> None:
    # What was loaded at the start stays, so it need not be scanned again and again; and a few
    # thousand new sockets are no garbage.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def _reload(app: web.Application) -> None:
    for reload in app[RELOADS]:
        reloading.add(task := asyncio.ensure_future(reload()))
        task.add_done_callback(reloading.discard)


async def _serve(app: Any, settings: Settings, *, demo: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _reload, app)
    allow_many_files()
    async with serve_app(app, settings.host, settings.port) as port:
        _tune_garbage_collection()
        where = address(settings.host, port)
        if demo:
            click.secho("\n  logout-hub demo", bold=True, err=True)
            click.secho("  For trying out only: anybody on this machine gets a token.", err=True)
            click.echo(f"\n  Open {where}/\n  Stop with Ctrl+C.\n", err=True)
            click.echo(_explain_commands(settings, app[SERVICES].settings, where), err=True)
        else:
            memory = "this process's memory (one replica only)"
            kept = memory if settings.redis_url is None else "Redis"
            _announce(settings, f"logout-hub on {where}, state in {kept}")
        if settings.admin_port is not None:
            _announce(
                settings, f"for operators: {address(settings.admin_host, settings.admin_port)}"
            )
        await stop.wait()
        _announce(settings, "stopping")


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
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([right.value for right in Right]),
    help="What it is for; may be repeated.  [default: all]",
)
@as_json
def admin_token(name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Create a credential called NAME for admin calls, and print it: it is not stored.

    \b
    logout-hub admin-token helpdesk --scope logout --scope read
    """
    try:
        check_name(name)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    rights = tuple(dict.fromkeys(map(Right, scopes))) or tuple(Right)
    made, entry = make_credential(name, rights)
    if as_json:
        click.echo(json.dumps({"token": made, "entry": entry}))
    else:
        click.echo("The secret token, for the caller:", err=True)
        click.echo(made)
        click.echo("The entry for HUB_ADMIN_TOKENS of every replica, comma-separated:", err=True)
        click.echo(entry)


@main.command()
@click.option("--url", metavar="URL", help="A running hub to check from outside.")
@as_json
def doctor(url: str | None, as_json: bool) -> None:
    """Check settings, issuers, store and clock, and say what to fix.

    With --url it also checks a running hub from outside: whether it answers, and whether its tokens
    name their logins. Exits with 1 when anything is bad.
    """
    try:
        running = None if url is None else complete_address(url)
        findings = run(doctor_module.examine(load_settings(), running))
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
