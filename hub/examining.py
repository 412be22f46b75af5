"""The command ``doctor``: prints what was found, and what to fix."""

from __future__ import annotations

import click

from hub.console import (
    as_json,
    complete_address,
    print_json,
    run,
    say,
)
from hub.doctor.examination import examine
from hub.doctor.finding import Finding
from hub.environment import load_settings
from hub.log import configure_logs
from hub.settings import SettingsError


@click.command()
@click.option("--url", metavar="URL", help="A running hub to check from outside.")
@as_json
def doctor(url: str | None, as_json: bool) -> None:
    """Check settings, issuers, store and clock, and say what to fix.

    With --url it also checks a running hub from outside: whether it answers, and whether its tokens
    name their logins. Exits with 1 when anything is bad.
    """
    try:
        running = None if url is None else complete_address(url)
        settings = load_settings()
        configure_logs(settings.log_format)
        findings = run(examine(settings, running))
    except SettingsError as error:
        findings = [Finding("settings", "bad", str(error))]
    if as_json:
        print_json([finding.describe() for finding in findings])
    else:
        colours = {"good": "green", "fair": "yellow", "bad": "red"}
        for finding in findings:
            level = click.style(f"{finding.level:<5}", fg=colours[finding.level])
            say(f" {finding.check}: {finding.detail}", mark=level)
    if any(finding.level == "bad" for finding in findings):
        raise SystemExit(1)
