"""Addresses of Redis: one server, Sentinels, a cluster."""

from __future__ import annotations

import pytest

from hub.core.servers import Kind, kind_of, read_servers


def test_a_plain_address_is_left_as_it_is() -> None:
    """redis-py alone reads it."""
    for url in ("redis://u:p@h:1/2?a=b", "rediss://h", "unix:///run/redis.sock", "nonsense"):
        servers = read_servers(url)
        assert (servers.kind, servers.seeds) == (Kind.ONE, (url,))


def test_the_login_of_sentinels_is_not_that_of_the_servers() -> None:
    """Each gets its own, and both get all other options."""
    url = "rediss+sentinel://u:p%40@a:1,b/my%20name/3?x=1&sentinel_username=s&sentinel_password=%2F"
    servers = read_servers(url)
    assert (servers.kind, servers.master) == (Kind.SENTINEL, "my name")
    assert servers.seeds == ("rediss://s:%2F@a:1/?x=1", "rediss://s:%2F@b:26379/?x=1")
    assert servers.at("c", 6379) == "rediss://u:p%40@c:6379/3?x=1"


def test_without_a_login_of_their_own_sentinels_get_none() -> None:
    """The servers' password is not sent to whoever says that it is a Sentinel."""
    servers = read_servers("redis+sentinel://u:p@a/m")
    assert servers.seeds == ("redis://a:26379/",)
    assert servers.at("::1", 1) == "redis://u:p@[::1]:1/0"


def test_the_nodes_of_a_cluster_have_one_login() -> None:
    """A node that is named twice is one node."""
    servers = read_servers("redis+cluster://u:p@a,[::1]:7,a:6379?x=1")
    assert (servers.kind, servers.master) == (Kind.CLUSTER, "")
    assert servers.seeds == ("redis://u:p@a:6379/0?x=1", "redis://u:p@[::1]:7/0?x=1")
    assert servers.at("b", 8) == "redis://u:p@b:8/0?x=1"


@pytest.mark.parametrize(
    "rest",
    [
        *("", "/m", "h", "h/", "h/m/x", "h/m/0/1", "h:x/m", "h,/m", "h:0x1/m", "h /m", "a@b@/m"),
        *("h/m?sentinel_db=1", "h/m#x", "[::1/m", "h:65536/m"),
    ],
)
def test_a_wrong_address_is_refused_without_being_told(rest: str) -> None:
    """The line says what the form is."""
    url = f"redis+sentinel://u:sesame@{rest}"
    with pytest.raises(ValueError) as caught:
        read_servers(url)
    assert str(caught.value) == f"not an address like {Kind.SENTINEL.value}"


def test_what_is_shown_of_servers_holds_no_secret() -> None:
    """Whoever prints them by mistake prints no password."""
    servers = read_servers("redis+sentinel://u:sesame@a/m?sentinel_password=sesame")
    assert "sesame" not in f"{servers} {servers!r}"


def test_the_kind_is_in_the_scheme() -> None:
    """What is unknown is read as one server, and refused by redis-py."""
    assert kind_of("rediss+cluster://h") is Kind.CLUSTER
    assert kind_of("redis+sentinels://h") is Kind.ONE
