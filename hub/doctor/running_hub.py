"""The doctor's checks of a running hub, from outside: whether it answers, and what it measures."""

from __future__ import annotations

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from hub.access.keys import FETCH_FAILURES, fetch_bytes
from hub.doctor.finding import Finding, Level


async def examine_hub(http: aiohttp.ClientSession, url: str) -> list[Finding]:
    """Check a running hub from outside."""
    address = f"{url}/healthz"
    try:
        async with http.get(address, allow_redirects=False) as answer:
            level: Level = "good" if answer.status == 200 else "bad"
            found = Finding("hub", level, f"{address} answers {answer.status}")
    except FETCH_FAILURES as error:
        found = Finding("hub", "bad", f"{address}: {str(error) or type(error).__name__}")
    return [found, *await _examine_metrics(http, url)]


async def _examine_metrics(http: aiohttp.ClientSession, url: str) -> list[Finding]:
    """Check a hub's metrics: the partitions that it serves, and the tokens that it has seen."""
    address = f"{url}/metrics"
    try:
        text = (await fetch_bytes(http, address)).decode()
        return [*_examine_partitions(url, text), *_examine_tokens(url, _count_tokens(text))]
    except FETCH_FAILURES as error:
        detail = f"{address}: {str(error) or type(error).__name__}"
        return [Finding("tokens", "bad", detail)]


def _examine_partitions(url: str, text: str) -> list[Finding]:
    """Check whether a hub serves the users of every partition."""
    found = {
        sample.labels["state"]: round(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "hub_partitions" and sample.value
    }
    away = {state: count for state, count in found.items() if state in ("fenced", "lost")}
    if not found:
        return []  # a hub of before
    if not away:
        return [Finding("partitions", "good", f"{url} serves all {sum(found.values())}")]
    unserved = ", ".join(f"{count} {state}" for state, count in sorted(away.items()))
    detail = f"{url} does not serve {unserved} of {sum(found.values())}: its /readyz says why"
    return [Finding("partitions", "bad", detail)]


def _examine_tokens(url: str, seen: dict[str, dict[str, int]]) -> list[Finding]:
    """Check whether the tokens that a hub has seen since its start identify their logins."""
    if not seen:
        return [Finding("tokens", "fair", f"{url} has seen none yet")]
    findings = []
    for issuer, counts in seen.items():
        unnamed, count = counts.get("unnamed", 0), sum(counts.values())
        detail = f"{unnamed} of {count} that {url} has seen do not identify their login"
        if unnamed:
            detail += ": each refresh is a session of its own; see logout-hub inspect"
        findings.append(Finding(f"tokens {issuer}", "fair" if unnamed else "good", detail))
    return findings


def _count_tokens(text: str) -> dict[str, dict[str, int]]:
    """Return the numbers of tokens in a hub's metrics, by issuer and by the label ``login``."""
    seen: dict[str, dict[str, int]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "hub_tokens_total":
                counts = seen.setdefault(sample.labels["issuer"], {})
                counts[sample.labels["login"]] = round(sample.value)
    return seen
