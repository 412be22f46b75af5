"""The command ``serve``: runs the hub until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import click
import structlog
from aiohttp import web

from hub.api.open_files import allow_many_files
from hub.api.services import SERVICES
from hub.app import RELOADS, CannotListen, create_app
from hub.app import serve as serve_app
from hub.console import (
    Failed,
    address,
    run,
    setting_options,
)
from hub.doctor.store import refuse_unsafe
from hub.environment import load_settings
from hub.log import configure_logs
from hub.settings import Settings

reloading: set[asyncio.Future[None]] = set()
"""Tasks that SIGHUP started, referenced until they are done."""


@click.command()
@click.option("--demo", is_flag=True, help="Serve the demo page, with tokens for anybody.")
@setting_options
def serve(demo: bool, **options: Any) -> None:
    """Run the hub.

    \b
    Try it:            logout-hub serve --demo
    For development:   HUB_JWT_SECRET=$(openssl rand -hex 32) logout-hub serve
    In production:     HUB_REDIS_URL=redis://… HUB_JWT_JWKS_URL=https://… logout-hub serve
    """
    settings = load_settings(options)
    configure_logs(settings.log_format)
    run(refuse_unsafe(settings))
    app = create_app(settings, demo=demo)
    try:
        run(_serve(app, settings, demo=demo))
    except CannotListen as error:
        raise Failed(str(error)) from None


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
            with contextlib.suppress(OSError):  # nobody reads standard error
                click.secho("\n  logout-hub demo", bold=True, err=True)
                click.echo("  For trying out only: anybody on this machine gets a token.", err=True)
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
