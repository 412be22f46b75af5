"""The doctor's checks of the store and its clock; some of them stop the start of a hub."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import structlog
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import AuthenticationError, RedisClusterException, RedisError

from hub.core.model import SECOND
from hub.core.servers import Kind, Servers, read_servers
from hub.doctor.finding import Finding, Level
from hub.settings import Settings, SettingsError
from hub.store.cluster import read_slot_map
from hub.store.connection import connection_pool, describe_failure
from hub.store.eviction import SAFE_POLICIES
from hub.store.names import PARTITIONS
from hub.store.sentinel import Sentinels, State, master_pool

log = structlog.get_logger(__name__)

OLDEST_REDIS = (6, 2)
CLOCK_STEP = 2 * SECOND


async def refuse_unsafe(settings: Settings) -> None:
    """Stop the start if Redis may evict keys. One that cannot be reached is retried later.

    Raises:
        SettingsError: in one line that says what to set.
    """
    for finding in await examine_store(settings):
        if finding.check.startswith("store") and finding.level == "bad":
            log.error("Redis cannot be reached yet, and will be retried", why=finding.detail)
        if finding.check.startswith("maxmemory-policy") and finding.level == "bad":
            raise SettingsError(f"HUB_REDIS_URL: maxmemory-policy is {finding.detail}")
        if finding.check.startswith("persistence") and finding.level == "fair":
            log.warning("Redis does not persist its data", detail=finding.detail)


async def examine_store(settings: Settings) -> list[Finding]:
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
