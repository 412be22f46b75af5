"""The doctor's checks of issuers: their keys can be fetched, and their audience is set."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp

from hub.access.keys import FETCH_FAILURES, FETCH_TIMEOUT, discover, fetch_keys
from hub.core.issuers import Entry, Source
from hub.core.verification_keys import ALGORITHMS
from hub.doctor.finding import Finding

ANY_AUDIENCE = "any: tokens that this issuer signed for other apps are accepted too"


async def examine_issuers(http: aiohttp.ClientSession, entries: Sequence[Entry]) -> list[Finding]:
    """Check that the keys of each issuer can be fetched, and that its audience is set."""
    findings = []
    for number, entry in enumerate(entries, 1):
        # Two entries may have the same issuer.
        name = f"{number} {entry.name}" if len(entries) > 1 else entry.name
        if not entry.keys.is_fetched:
            detail = f"{entry.keys.kind.value} from the settings"
            findings.append(Finding(f"keys {name}", "good", detail))
            continue
        findings.append(await _examine_keys(http, name, entry))
        wanted = ", ".join(entry.rules.audience or ())
        anybody = Finding(f"audience {name}", "fair", ANY_AUDIENCE)
        findings.append(Finding(f"audience {name}", "good", wanted) if wanted else anybody)
    return findings


async def _examine_keys(http: aiohttp.ClientSession, name: str, entry: Entry) -> Finding:
    url = entry.keys.values[0]
    try:
        async with asyncio.timeout(FETCH_TIMEOUT):
            if entry.keys.kind is Source.DISCOVERY:
                url = await discover(http, url)
            keys = await fetch_keys(http, url)
    except FETCH_FAILURES as error:
        text = str(error) or type(error).__name__
        return Finding(f"keys {name}", "bad", text if url in text else f"{url}: {text}")
    count = len({(key.key_id, key.key_type) for key in keys})
    served = [a for a in ALGORITHMS if a in {key.algorithm_name for key in keys}]
    detail = f"{count} at {url}, for {', '.join(served)}"
    if set(served).isdisjoint(entry.rules.algorithms):
        taken = ", ".join(entry.rules.algorithms)
        return Finding(f"keys {name}", "bad", f"{detail}, but {taken} are accepted: set algorithms")
    return Finding(f"keys {name}", "good", detail)
