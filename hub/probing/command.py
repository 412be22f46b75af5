"""The command ``probe``: tries a hub from outside, and prints what worked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import BinaryIO

import aiohttp
import click
import msgspec

from hub.access.minting import mint_token
from hub.console import (
    BadSetting,
    as_json,
    complete_address,
    print_json,
    read_token,
    run,
    say,
)
from hub.environment import load_settings
from hub.probing.probe import ROUND, Probe, Step, times

USER = "logout-hub-probe"
LIFETIME = 120.0
MAX_ROUNDS = 10_000


@click.command("probe")
@click.option("--url", metavar="URL", required=True, help="The hub's address, as clients know it.")
@click.option(
    "--token-file",
    metavar="FILE",
    type=click.File("rb"),
    help="A file that holds a token of a session that may end; - is standard input.",
)
@click.option(
    "--count",
    type=click.IntRange(1, MAX_ROUNDS),
    default=1,
    help="How many sessions to log in and out, for p50 and p99.  [default: 1]",
)
@as_json
def probe(url: str, token_file: BinaryIO | None, count: int, as_json: bool) -> None:
    """Connect to a hub as stock clients do, log that one session out, and say what worked.

    Run it after each deploy. It finds a proxy that drops upgrades, missing sticky routing and wrong
    clocks: the first step that fails names the problem, and the exit code is 1. Without
    --token-file the token is signed with HUB_JWT_SECRET.

    \b
    logout-hub probe --url https://hub.example
    logout-hub probe --url https://hub.example --token-file token.txt
    logout-hub probe --url https://hub.example --count 100 --json
    """
    if token_file is not None and count > 1:
        raise click.UsageError(
            "--count needs HUB_JWT_SECRET: a given token is good for one logout."
        )
    new_token = _minting() if token_file is None else _reading(token_file)
    ok, steps = run(_probe(complete_address(url), new_token, count, quiet=as_json))
    if as_json:
        named = {step: found for step in ROUND if (found := times(steps, step))}
        print_json({"ok": ok, "steps": msgspec.to_builtins(steps), "times": named})
    else:
        _show(steps, count)
    if not ok:
        raise SystemExit(1)


def _reading(file: BinaryIO) -> Callable[[], str]:
    token = read_token(file)
    return lambda: token


def _minting() -> Callable[[], str]:
    settings = load_settings()
    secret = settings.jwt_secret
    if secret is None:
        raise BadSetting(
            "HUB_JWT_SECRET is not set: give --token-file, a token of a session that may end"
        )
    return lambda: mint_token(
        secret.get_secret_value(),
        USER,
        lifetime=LIFETIME,
        algorithm=settings.algorithms[0],
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
    )


async def _probe(
    url: str, new_token: Callable[[], str], count: int, *, quiet: bool
) -> tuple[bool, list[Step]]:
    hidden = quiet or count == 1
    async with aiohttp.ClientSession(trust_env=True) as http:
        tried = Probe(http, url, new_token)
        with click.progressbar(length=count, label="rounds", hidden=hidden, file=sys.stderr) as bar:
            ok = await tried.run(count, lambda: bar.update(1))
    return ok, tried.steps


def _show(steps: list[Step], count: int) -> None:
    last = steps[-1]
    for one in {step.step: step for step in steps}.values():
        mark = click.style("good", fg="green") if one.ok else click.style("bad ", fg="red")
        took = f"{one.ms:8.1f} ms"
        if count > 1 and (found := times(steps, one.step)) and one.step in ROUND:
            took = f"{found['p50']:8.1f} ms, p99 {found['p99']:.1f} ms"
        detail = f"  {one.detail}" if one.detail else ""
        say(f"  {one.step:<12}{took}{detail}", mark=mark)
    if not last.ok:
        say(f"The steps after {last.step} were not tried.", err=True)
