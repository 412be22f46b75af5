"""What ``doctor`` finds, on real servers in good and in bad health."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import jwt
import pytest

from hub.doctor.examination import examine
from hub.doctor.finding import Finding
from hub.doctor.store import refuse_unsafe
from hub.metrics import FRESH
from tests.access.test_discovery import OPENID, open_site
from tests.access.test_keys import EC, published
from tests.ports import free_port
from tests.realtime.raw import eventually
from tests.redis_server import MASTER, Clustered, Guarded, RedisServer
from tests.site import SECRET, running, settings, token


async def findings(**changes: object) -> dict[str, Finding]:
    """Return what the doctor says about a hub with these settings, by what was looked at."""
    found = await examine(settings(**changes))
    assert len({finding.check for finding in found}) == len(found)
    return {finding.check: finding for finding in found}


def levels(found: dict[str, Finding]) -> dict[str, str]:
    """Return only how good each thing is."""
    return {check: finding.level for check, finding in found.items()}


async def test_a_good_redis_is_good(redis_url: str) -> None:
    """Everything that was looked at is good, and the version and the latency are told."""
    found = await findings(redis_url=redis_url)
    assert levels(found) == dict.fromkeys(
        ["settings", "store", "version", "maxmemory-policy", "persistence", "clock"], "good"
    )
    assert "ms" in found["store"].detail
    assert found["version"].detail[0].isdigit()
    assert "HS256" in found["settings"].detail


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "volatile-random"])
async def test_a_redis_that_evicts_is_bad(own_redis: RedisServer, policy: str) -> None:
    """A logout that may be evicted is a token that may come back."""
    with own_redis.client() as client:
        client.config_set("maxmemory-policy", policy)
    found = await findings(redis_url=own_redis.url)
    assert found["maxmemory-policy"].level == "bad"
    assert policy in found["maxmemory-policy"].detail
    assert "noeviction" in found["maxmemory-policy"].detail
    assert [check for check, level in levels(found).items() if level != "good"] == [
        "maxmemory-policy"
    ]


async def test_a_redis_that_forgets_at_a_restart_is_fair(own_redis: RedisServer) -> None:
    """Without an append-only file the operator is told what a restart costs."""
    with own_redis.client() as client:
        client.config_set("appendonly", "no")
    found = await findings(redis_url=own_redis.url)
    assert found["persistence"].level == "fair"
    assert "restart" in found["persistence"].detail


async def test_a_redis_that_is_not_there_is_bad() -> None:
    """Nothing else is claimed about a store that does not answer."""
    found = await findings(redis_url=f"redis://127.0.0.1:{free_port()}/0")
    assert found["store"].level == "bad"
    assert not {"version", "maxmemory-policy", "persistence", "clock"} & set(found)


async def test_a_redis_that_hangs_is_bad_soon(own_redis: RedisServer) -> None:
    """An operator waits seconds for the diagnosis, not minutes."""
    own_redis.pause()
    found = await findings(redis_url=own_redis.url)
    own_redis.resume()
    assert found["store"].level == "bad"


async def test_a_wrong_password_is_bad_and_not_told(own_redis: RedisServer) -> None:
    """A refusal names its kind and the place, and not the password."""
    with own_redis.client() as client:
        client.config_set("requirepass", "open-sesame")
    for url in (own_redis.url.replace("//", "//:wrong-sesame@"), own_redis.url):
        found = await findings(redis_url=url)
        assert found["store"].level == "bad"
        assert found["store"].detail.startswith(f"{own_redis.place}: it ")
        assert "password" in found["store"].detail
    assert "sesame" not in repr(found)
    right = own_redis.url.replace("//", "//:open-sesame@")
    found = await findings(redis_url=right)
    assert found["store"].level == "good"
    assert "sesame" not in repr(found)


async def test_sentinels_and_their_master_are_looked_at(
    sentinel_url: str, guarded_servers: Guarded
) -> None:
    """The master is found through them; that one is silent, or all are, is told."""
    found = await findings(redis_url=sentinel_url)
    assert set(levels(found).values()) == {"good"}
    assert {"sentinels", "store", "version", "replicas", "clock"} <= set(found)
    unknown = sentinel_url + f"?sentinel_password=sesame&client_name={free_port()}"
    found = await findings(redis_url=unknown.replace(MASTER, "another"))
    assert levels(found)["sentinels"] == levels(found)["store"] == "bad"
    assert "sesame" not in repr(found)
    first, *_ = (sentinel.place for sentinel in guarded_servers.sentinels)
    found = await findings(redis_url=sentinel_url.replace(first, f"127.0.0.1:{free_port()}"))
    assert (levels(found)["sentinels"], levels(found)["store"]) == ("fair", "good")


async def test_each_node_of_a_cluster_is_looked_at(
    cluster_url: str, clustered_servers: Clustered
) -> None:
    """What is bad on one of them is told of that one."""
    found = await findings(redis_url=cluster_url)
    assert set(levels(found).values()) == {"good"}
    checks = ["store", "version", "maxmemory-policy", "persistence", "clock"]
    nodes = clustered_servers.masters
    assert {f"{check} {node.place}" for check in checks for node in nodes} <= set(found)
    with nodes[1].client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        found = await findings(redis_url=cluster_url)
        client.config_set("maxmemory-policy", "noeviction")
    bad = [check for check, level in levels(found).items() if level == "bad"]
    assert bad == [f"maxmemory-policy {nodes[1].place}"]


async def test_whose_users_a_dead_node_harms_is_told(tmp_path: Path) -> None:
    """By the doctor of the store, and by that of a hub that runs."""
    cluster = Clustered(tmp_path)
    try:
        await asyncio.to_thread(cluster.start)
        node, count = cluster.masters[1], len(cluster.partitions_of(1))
        async with running(settings(redis_url=cluster.url, fence_seconds=3)) as hub:
            found = {one.check: one for one in await examine(settings(), hub.url)}
            assert found["partitions"].level == "good"
            await asyncio.to_thread(node.kill)
            dead = (await findings(redis_url=cluster.url))[f"store {node.place}"]
            assert dead.level == "bad"
            assert f"the users of {count} of 16 partitions are not served" in dead.detail

            async def is_told() -> bool:
                told = {one.check: one for one in await examine(settings(), hub.url)}
                return f"{count} fenced of 16" in told["partitions"].detail

            await eventually(is_told)
    finally:
        cluster.kill()


async def test_a_cluster_that_is_none_is_bad(own_redis: RedisServer) -> None:
    """A plain server under a cluster's address is found out."""
    found = await findings(redis_url=own_redis.url.replace("redis:", "redis+cluster:"))
    assert found["store"].level == "bad"


async def test_the_embedded_store_is_fair() -> None:
    """It works, for one replica and until the restart, and the operator is told."""
    found = await findings()
    assert levels(found) == {"settings": "good", "store": "fair"}


@pytest.mark.parametrize(
    ("name", "transports", "is_bad"),
    [
        ("eu-1.a", ("polling", "websocket"), True),
        ("eu-1.a", ("websocket",), False),
        ("eu-1-a", ("polling", "websocket"), False),
    ],
)
async def test_a_replica_that_no_balancer_finds_is_bad(
    redis_url: str, name: str, transports: tuple[str, ...], is_bad: bool
) -> None:
    """The shipped balancers read its name after the last dot of an engine id."""
    found = await findings(redis_url=redis_url, replica=name, transports=transports)
    assert ("replica" in found) == is_bad
    assert not is_bad or name in found["replica"].detail


async def test_a_hub_without_a_key_is_bad() -> None:
    """Nobody can be let in, and the line names what to set."""
    found = await findings(jwt_secret=None)
    assert found["settings"].level == "bad"
    assert "HUB_JWT_SECRET" in found["settings"].detail


async def test_what_a_hub_holds_is_not_bad_beside_it(tmp_path: Path) -> None:
    """A doctor beside a running hub minds neither its ports nor its audit log."""
    file = str(tmp_path / "audit.log")
    given = {"port": free_port(), "admin_port": free_port(), "audit_file": file}
    async with running(settings(**given)):
        assert set(levels(await findings(**given))) == {"settings", "store"}


async def test_an_audit_log_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    """No file is made, and an incomplete line is not confirmed."""
    file = tmp_path / "audit.log"
    assert "audit" not in await findings(audit_file=str(file))
    assert os.listdir(tmp_path) == []
    async with running(settings(audit_file=str(file))):
        pass
    with file.open("ab") as log:
        log.write(b'{"torn')
    before = file.read_bytes()
    assert "audit" not in await findings(audit_file=str(file))
    assert file.read_bytes() == before
    file.write_text("another text\n")
    assert (await findings(audit_file=str(file)))["audit"].level == "bad"


async def test_the_keys_of_an_issuer_are_looked_for() -> None:
    """Where they were found, how many, for which algorithms, and whom its tokens are for."""
    async with open_site(None) as site:
        site.tells(OPENID, site.url, f"{site.url}/keys")
        site.pages["/keys"]["keys"].append(published(EC, "ES256", "ec-1"))
        changes = {"jwt_secret": None, "jwt_issuer": site.url, "jwt_audience": "shop"}
        found = await findings(**changes)
        keys, audience = found[f"keys {site.url}"], found[f"audience {site.url}"]
        assert (keys.level, audience.level) == ("good", "good")
        assert keys.detail.startswith(f"2 at {site.url}/keys, for RS256, ")
        assert keys.detail.endswith(", ES256")
        assert audience.detail == "shop"
        anybody = await findings(**{**changes, "jwt_audience": "*"})
        assert anybody[f"audience {site.url}"].level == "fair"
        wrong = await findings(**changes, jwt_algorithms=("EdDSA",))
        assert wrong[f"keys {site.url}"].level == "bad"
        assert "EdDSA" in wrong[f"keys {site.url}"].detail


async def test_an_issuer_that_cannot_be_asked_is_bad() -> None:
    """In one line with the address and the cause, whether the metadata or the keys are missing."""
    async with open_site(None) as site:
        changes = {"jwt_secret": None, "jwt_issuer": site.url, "jwt_audience": "shop"}
        nowhere = (await findings(**changes))[f"keys {site.url}"]
        assert (nowhere.level, "\n" in nowhere.detail) == ("bad", False)
        assert f"{site.url}{OPENID}: " in nowhere.detail
        assert "404" in nowhere.detail
        site.tells(OPENID, site.url, f"{site.url}/nothing")
        keyless = (await findings(**changes))[f"keys {site.url}"]
        assert (keyless.level, f"{site.url}/nothing" in keyless.detail) == ("bad", True)
        site.tells(OPENID, "https://evil.example", f"{site.url}/keys")
        other = (await findings(**changes))[f"keys {site.url}"]
        assert (other.level, "https://evil.example" in other.detail) == ("bad", True)


async def test_each_issuer_of_a_file_is_looked_at(tmp_path: Path) -> None:
    """Also two entries of one issuer; a secret is named as the source and not told."""
    async with open_site(None) as site:
        file = tmp_path / "issuers.toml"
        file.write_text(
            f'[[issuer]]\niss = "{site.url}"\njwks_url = "{site.url}/keys"\naudience = "a"\n'
            f'[[issuer]]\niss = "{site.url}"\nsecret = "{SECRET}"\n'
        )
        found = await findings(jwt_secret=None, issuers=str(file))
        assert found[f"keys 1 {site.url}"].level == "good"
        assert found[f"keys 2 {site.url}"].detail == "secret from the settings"
        assert site.asked == ["/keys"]
        assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (None, "No such file"),
        ("[[issuer", "not TOML"),
        ('[[issuer]]\niss = "https://id.example"', "audience"),
        ('[[issuer]]\niss = "https://id.example"\naudience = 5', "audience"),
    ],
)
async def test_a_bad_file_of_issuers_is_one_line(
    tmp_path: Path, text: str | None, part: str
) -> None:
    """It names the variable, the file and what is wrong."""
    file = tmp_path / "issuers.toml"
    if text is not None:
        file.write_text(text)
    found = (await findings(jwt_secret=None, issuers=str(file)))["settings"]
    assert (found.level, "\n" in found.detail) == ("bad", False)
    assert found.detail.startswith(f"HUB_ISSUERS: {file}: ")
    assert part in found.detail


async def test_a_running_hub_is_asked_whether_tokens_name_their_logins() -> None:
    """An issuer whose tokens do not is pointed out, with how many there were."""
    async with running(settings()) as hub:
        first = await examine(settings(), hub.url)
        assert [(f.check, f.level) for f in first if "tokens" in f.check] == [("tokens", "fair")]
        await asyncio.sleep(FRESH)
        await hub.call("GET", "/verify", token("ada", "s-1"))
        await asyncio.sleep(FRESH)
        told = {finding.check: finding for finding in await examine(settings(), f"{hub.url}/")}
        assert told["tokens any issuer"].level == told["hub"].level == "good"
        now = int(time.time())
        unnamed = {"sub": "ada", "iat": now, "exp": now + 60}
        await hub.call("GET", "/verify", jwt.encode(unnamed, SECRET, "HS256"))
        await asyncio.sleep(FRESH)
        told = {finding.check: finding for finding in await examine(settings(), hub.url)}
        assert told["tokens any issuer"].level == "fair"
        assert told["tokens any issuer"].detail.startswith("1 of 2 ")
        odd = {
            finding.check: finding for finding in await examine(settings(), f"{hub.url}/healthz")
        }
        assert odd["tokens"].level == odd["hub"].level == "bad"
    gone = {finding.check: finding for finding in await examine(settings(), hub.url)}
    assert (gone["tokens"].level, hub.url in gone["tokens"].detail) == ("bad", True)


async def test_a_start_does_not_wait_for_an_issuer() -> None:
    """What is asked before the hub serves is about the store only."""
    async with open_site(None) as site:
        await refuse_unsafe(settings(jwt_secret=None, jwt_issuer=site.url, jwt_audience="shop"))
        assert site.asked == []


async def test_what_works_only_in_part_is_fair() -> None:
    """No admin token is pointed out, and a cookie that no origin may use, which stops the start."""
    found = await findings(admin_token=None, cookie_name="session")
    assert levels(found) == {
        "settings": "good",
        "admin": "fair",
        "cookie": "bad",
        "store": "fair",
    }
    kept = await findings(verify_cache=5)
    assert levels(kept)["verify"] == "fair"
    allowed = await findings(cookie_name="session", allowed_origins=("https://app.example",))
    assert "cookie" not in allowed


async def test_a_finding_is_plain_for_programs() -> None:
    """Check, level and detail, and nothing else."""
    (first, *_) = await examine(settings())
    assert first.describe() == {
        "check": "settings",
        "level": "good",
        "detail": "tokens are verified with HS256",
    }
