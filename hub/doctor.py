"""``logout-hub doctor``: checks the settings, the issuers, the store and the clock."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import aiohttp
import structlog
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import AuthenticationError, RedisClusterException, RedisError

from hub.access.keys import FETCH_FAILURES, FETCH_TIMEOUT, discover, fetch_bytes, fetch_keys
from hub.core.issuers import Entry, Source
from hub.core.model import SECOND
from hub.core.servers import Kind, Servers, read_servers
from hub.core.verification_keys import ALGORITHMS
from hub.issuers_file import load_entries
from hub.settings import Settings, SettingsError
from hub.store.cluster import read_slot_map
from hub.store.connection import connection_pool, describe_failure
from hub.store.eviction import SAFE_POLICIES
from hub.store.names import PARTITIONS
from hub.store.sentinel import Sentinels, State, master_pool

log = structlog.get_logger(__name__)

Level = Literal["good", "fair", "bad"]

OLDEST_REDIS = (6, 2)
CLOCK_STEP = 2 * SECOND
FETCH_PATIENCE = aiohttp.ClientTimeout(total=FETCH_TIMEOUT)
ANY_AUDIENCE = "any: tokens that this issuer signed for other apps are accepted too"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: good, fair (it works, but with a caveat) or bad."""

    check: str
    level: Level
    detail: str

    def describe(self) -> dict[str, str]:
        """Return the finding for JSON."""
        return asdict(self)


async def examine(settings: Settings, url: str | None = None) -> list[Finding]:
    """Check these settings, the issuers, the store and the clock.

    ``url`` is the address of a running hub, to check as well.
    """
    try:
        entries = load_entries(settings)
    except SettingsError as error:
        found = [Finding("settings", "bad", str(error))]
    else:
        pinned = dict.fromkeys(name for entry in entries for name in entry.rules.algorithms)
        found = [Finding("settings", "good", f"tokens are verified with {', '.join(pinned)}")]
        if settings.issuers is not None or entries[0].keys.is_fetched:
            found += await examine_issuers(entries)
    if url is not None:
        found += await _examine_hub(url.rstrip("/"))
    return [*found, *_examine_settings(settings), *await _examine_store(settings)]


async def _examine_hub(url: str) -> list[Finding]:
    """Check a running hub from outside."""
    address = f"{url}/healthz"
    try:
        async with (
            aiohttp.ClientSession(timeout=FETCH_PATIENCE) as http,
            http.get(address, allow_redirects=False) as answer,
        ):
            level: Level = "good" if answer.status == 200 else "bad"
            found = Finding("hub", level, f"{address} answers {answer.status}")
    except FETCH_FAILURES as error:
        found = Finding("hub", "bad", f"{address}: {str(error) or type(error).__name__}")
    return [found, *await _examine_metrics(url)]


async def _examine_metrics(url: str) -> list[Finding]:
    """Check a hub's metrics: the partitions that it serves, and the tokens that it has seen."""
    address = f"{url.rstrip('/')}/metrics"
    try:
        async with aiohttp.ClientSession(timeout=FETCH_PATIENCE) as http:
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


async def _examine_store(settings: Settings) -> list[Finding]:
    """Check the store and its clock."""
    if settings.redis_url is None:
        detail = "in this process's memory: one replica only, forgotten at a restart"
        return [Finding("store", "fair", detail)]
    url = settings.redis_url.get_secret_value()
    servers = read_servers(url)
    match servers.kind:
        case Kind.ONE:
            return await _examine_server(connection_pool(url))
        case Kind.SENTINEL:
            return await _examine_guarded(servers)
        case Kind.CLUSTER:
            return await _examine_cluster(servers)


async def examine_issuers(entries: Sequence[Entry], ssl: Any = True) -> list[Finding]:
    """Check that the keys of each issuer can be fetched, and that its audience is set."""
    findings = []
    async with aiohttp.ClientSession(timeout=FETCH_PATIENCE) as http:
        for number, entry in enumerate(entries, 1):
            # Two entries may have the same issuer.
            name = f"{number} {entry.name}" if len(entries) > 1 else entry.name
            if not entry.keys.is_fetched:
                detail = f"{entry.keys.kind.value} from the settings"
                findings.append(Finding(f"keys {name}", "good", detail))
                continue
            findings.append(await _examine_keys(name, entry, http, ssl))
            wanted = ", ".join(entry.rules.audience or ())
            anybody = Finding(f"audience {name}", "fair", ANY_AUDIENCE)
            findings.append(Finding(f"audience {name}", "good", wanted) if wanted else anybody)
    return findings


async def _examine_keys(name: str, entry: Entry, http: aiohttp.ClientSession, ssl: Any) -> Finding:
    url = entry.keys.values[0]
    try:
        if entry.keys.kind is Source.DISCOVERY:
            url = await discover(http, url, ssl)
        keys = await fetch_keys(http, url, ssl=ssl)
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


async def _examine_server(pool: ConnectionPool) -> list[Finding]:
    """Check one server."""
    redis = Redis.from_pool(pool)
    try:
        info: dict[str, Any] = await redis.info()
        began = time.time_ns() // 1000
        seconds, micros = await redis.time()
        took = time.time_ns() // 1000 - began
    except (RedisError, OSError) as error:
        return [Finding("store", "bad", _describe_failure(pool, error))]
    finally:
        await redis.aclose()
    return [
        Finding("store", "good", f"answers in {took / 1000:.1f} ms"),
        *_examine_redis(info),
        _examine_clock(seconds * SECOND + micros - began - took // 2),
    ]


def _describe_failure(pool: ConnectionPool, error: Exception) -> str:
    """Return which Redis could not be reached, and why, without secrets of its URL."""
    given = pool.connection_kwargs
    where = given.get("path") or f"{given.get('host', 'Redis')}:{given.get('port', 6379)}"
    if isinstance(error, AuthenticationError):
        return f"{where}: {describe_failure(error)}; HUB_REDIS_URL is redis://:PASSWORD@HOST:PORT"
    text = str(error)
    return f"{type(error).__name__}: {text}" if where in text else f"{where}: {text}"


async def _examine_guarded(servers: Servers) -> list[Finding]:
    """Check the Sentinels, and the master that they name."""
    sentinels = Sentinels(servers)
    try:
        states = [state for state in await sentinels.ask() if state is not None]
        found = await _examine_server(master_pool(servers, sentinels))
    finally:
        await sentinels.close()
    return [_examine_sentinels(len(states), len(servers.seeds)), *found, *_examine_replicas(states)]


def _examine_sentinels(answered: int, count: int) -> Finding:
    text = f"{answered} of {count} know the master"
    if 2 * answered <= count:
        return Finding("sentinels", "bad", f"{text}: the hub needs more than half")
    if answered < count or count < 3:
        return Finding("sentinels", "fair", f"{text}: name at least three, and all of them")
    return Finding("sentinels", "good", text)


def _examine_replicas(states: Sequence[State]) -> list[Finding]:
    if not states:
        return []
    count = max(state["num-slaves"] for state in states)
    level: Level = "good" if count else "fair"
    return [Finding("replicas", level, str(count) if count else "none: no replica could take over")]


async def _examine_cluster(servers: Servers) -> list[Finding]:
    """Check that all partitions are served, and each node that serves some."""
    try:
        slot_map = await read_slot_map(servers)
    except (RedisError, RedisClusterException, OSError) as error:
        return [Finding("store", "bad", f"{type(error).__name__}: {error}")]
    masters = sorted({place for place in slot_map.serving if place is not None})
    lacking = slot_map.serving.count(None)
    findings = [Finding("cluster", "good", f"{len(masters)} nodes serve all partitions")]
    if lacking:
        findings = [Finding("cluster", "bad", f"{lacking} of the partitions are not served")]
    for place in masters:
        for finding in await _examine_server(connection_pool(servers.at(*place))):
            check, detail = f"{finding.check} {place.host}:{place.port}", finding.detail
            if finding.check == "store" and finding.level == "bad":
                served = slot_map.serving.count(place)
                detail += f"; the users of {served} of {PARTITIONS} partitions are not served"
            findings.append(Finding(check, finding.level, detail))
    return findings


async def refuse_unsafe(settings: Settings) -> None:
    """Stop the start if Redis may evict keys. One that cannot be reached is retried later.

    Raises:
        SettingsError: in one line that says what to set.
    """
    for finding in await _examine_store(settings):
        if finding.check.startswith("store") and finding.level == "bad":
            log.error("Redis cannot be reached yet, and will be retried", why=finding.detail)
        if finding.check.startswith("maxmemory-policy") and finding.level == "bad":
            raise SettingsError(f"HUB_REDIS_URL: maxmemory-policy is {finding.detail}")
        if finding.check.startswith("persistence") and finding.level == "fair":
            log.warning("Redis does not persist its data", detail=finding.detail)


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


def _examine_redis(info: dict[str, Any]) -> list[Finding]:
    version = str(info.get("valkey_version") or info.get("redis_version", "0"))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    old = "redis_version" in info and "valkey_version" not in info and numbers < OLDEST_REDIS
    policy = str(info.get("maxmemory_policy", "unknown"))
    evicts = policy not in SAFE_POLICIES
    appends = bool(info.get("aof_enabled"))
    return [
        Finding("version", "bad" if old else "good", version + (" is too old" if old else "")),
        Finding(
            "maxmemory-policy",
            "bad" if evicts else "good",
            f"{policy}: logouts could be evicted, set noeviction" if evicts else policy,
        ),
        Finding(
            "persistence",
            "good" if appends else "fair",
            "appendonly yes" if appends else "without appendonly a restart forgets logouts",
        ),
    ]


def _examine_clock(ahead: int) -> Finding:
    level: Level = "good" if abs(ahead) < CLOCK_STEP else "fair"
    return Finding("clock", level, f"the store's is {ahead / SECOND:+.3f} s off this machine's")
