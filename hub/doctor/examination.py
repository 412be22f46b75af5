"""The doctor's whole examination: settings, issuers, machine, store, and a running hub."""

from __future__ import annotations

import aiohttp

from hub.access.keys import FETCH_TIMEOUT
from hub.doctor.finding import Finding
from hub.doctor.issuers import examine_issuers
from hub.doctor.machine import examine_machine
from hub.doctor.running_hub import examine_hub
from hub.doctor.store import examine_store
from hub.issuers_file import load_entries
from hub.settings import Settings, SettingsError

FETCH_PATIENCE = aiohttp.ClientTimeout(total=FETCH_TIMEOUT)


async def examine(settings: Settings, url: str | None = None) -> list[Finding]:
    """Check these settings, the issuers, this machine, the store and the clock.

    ``url`` is the address of a running hub, to check as well.
    """
    async with aiohttp.ClientSession(timeout=FETCH_PATIENCE) as http:
        try:
            entries = load_entries(settings)
        except SettingsError as error:
            found = [Finding("settings", "bad", str(error))]
        else:
            pinned = dict.fromkeys(name for entry in entries for name in entry.rules.algorithms)
            found = [Finding("settings", "good", f"tokens are verified with {', '.join(pinned)}")]
            if settings.issuers is not None or entries[0].keys.is_fetched:
                found += await examine_issuers(http, entries)
        if url is not None:
            found += await examine_hub(http, url.rstrip("/"))
    found += [*_examine_settings(settings), *await examine_machine(settings)]
    return found + await examine_store(settings)


def _examine_settings(settings: Settings) -> list[Finding]:
    findings = []
    if settings.admin_token is None and not settings.admin_tokens:
        detail = "neither HUB_ADMIN_TOKENS nor HUB_ADMIN_TOKEN is set: admin calls need a JWT"
        findings.append(Finding("admin", "fair", detail))
    if settings.verify_cache:
        seconds = settings.verify_cache
        detail = f"HUB_VERIFY_CACHE: a proxy may let a request in {seconds} s after the logout"
        findings.append(Finding("verify", "fair", detail))
    if settings.redis_url is not None and settings.shared_secret is None:
        detail = "HUB_BUS_SECRET is not set: anyone who can publish on Redis can close any socket"
        findings.append(Finding("bus", "fair", detail))
    polls = "polling" in settings.transports and settings.redis_url is not None
    if polls and "." in settings.replica:
        detail = (
            f"HUB_REPLICA is {settings.replica}: balancers route by what follows the last dot of "
            "an id, so with a dot in the name polling clients reach other replicas"
        )
        findings.append(Finding("replica", "bad", detail))
    if settings.cookie_name is not None and not settings.allowed_origins:
        detail = "HUB_ALLOWED_ORIGINS is empty: HUB_COOKIE_NAME needs an origin to be used from"
        findings.append(Finding("cookie", "bad", detail))
    return findings
