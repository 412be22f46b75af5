"""Who sent a request, behind proxies that are trusted and people who are not."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.address import client_address

TRUSTED = tuple(ipaddress.ip_network(text) for text in ("10.0.0.0/8", "::1/128", "fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        pytest.param("192.0.2.1", "", "192.0.2.1", id="no proxy"),
        pytest.param("192.0.2.1", "198.51.100.9", "192.0.2.1", id="header of a stranger"),
        pytest.param("10.0.0.1", "", "10.0.0.1", id="proxy that says nothing"),
        pytest.param("10.0.0.1", "192.0.2.1", "192.0.2.1", id="one proxy"),
        pytest.param("10.0.0.1", "192.0.2.1, 10.0.0.2", "192.0.2.1", id="two proxies"),
        pytest.param("10.0.0.1", "6.6.6.6, 192.0.2.1", "192.0.2.1", id="spoofed in front"),
        pytest.param("10.0.0.1", "6.6.6.6,192.0.2.1,10.0.0.2", "192.0.2.1", id="spoofed, two"),
        pytest.param("10.0.0.1", "10.9.9.9, 192.0.2.1", "192.0.2.1", id="spoofed as a proxy"),
        pytest.param("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3", id="all are proxies"),
        pytest.param("10.0.0.1", "2001:DB8::0:1", "2001:db8::1", id="IPv6, in its short form"),
        pytest.param("::1", "2001:db8::1, fd00::7", "2001:db8::1", id="IPv6 proxies"),
        pytest.param("2001:db8::1", "192.0.2.1", "2001:db8::1", id="IPv6 stranger"),
        pytest.param("10.0.0.1", "  192.0.2.1  ", "192.0.2.1", id="spaces"),
        pytest.param("10.0.0.1", "unknown", "10.0.0.1", id="RFC 7239's word"),
        pytest.param("10.0.0.1", "6.6.6.6, garbage", "10.0.0.1", id="garbage ends the walk"),
        pytest.param("10.0.0.1", "6.6.6.6, ", "10.0.0.1", id="empty entry ends the walk"),
        pytest.param("10.0.0.1", "192.0.2.1:443", "10.0.0.1", id="a port is no address"),
        pytest.param("10.0.0.1", "[2001:db8::1]", "10.0.0.1", id="brackets are no address"),
        pytest.param("10.0.0.1", "010.0.0.1", "10.0.0.1", id="octal is no address"),
        pytest.param("10.0.0.1", "3221225985", "10.0.0.1", id="a number is no address"),
        pytest.param("::ffff:10.0.0.1", "192.0.2.1", "192.0.2.1", id="IPv4 proxy in IPv6"),
        pytest.param("10.0.0.1", "::ffff:192.0.2.1", "192.0.2.1", id="IPv4 client in IPv6"),
        pytest.param("10.0.0.1", "fe80::1%\udcff<b>", "fe80::1", id="zones are left out"),
        pytest.param("", "192.0.2.1", "", id="no peer"),
        pytest.param("socket", "192.0.2.1", "socket", id="peer without an address"),
    ],
)
def test_the_client_is_the_last_that_no_proxy_of_ours_is(
    peer: str, forwarded: str, expected: str
) -> None:
    """The chain is believed from its end, and only as far as trusted proxies wrote it."""
    assert client_address(peer, forwarded, TRUSTED) == expected


def test_nobody_is_trusted_by_default() -> None:
    """Without trusted proxies the header is not read, not even from this machine."""
    assert client_address("127.0.0.1", "192.0.2.1", ()) == "127.0.0.1"


def plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Return an address as text, an IPv4 address always in its own form."""
    return str(getattr(address, "ipv4_mapped", None) or address)


addresses = st.ip_addresses().map(plain)
strangers = addresses.filter(lambda a: not any(ipaddress.ip_address(a) in n for n in TRUSTED))


@given(strangers, st.text())
def test_a_stranger_cannot_choose_its_address(peer: str, forwarded: str) -> None:
    """Whatever a client writes in the header, its own address stands."""
    assert client_address(peer, forwarded, TRUSTED) == peer


@given(st.text(alphabet=st.characters(exclude_characters=","), max_size=20), strangers)
def test_what_stands_before_the_client_in_the_chain_is_not_believed(
    spoofed: str, client: str
) -> None:
    """A client that sends the header itself only adds to what is not read."""
    assert client_address("10.0.0.1", f"{spoofed}, {client}", TRUSTED) == client


@given(addresses, st.lists(addresses | st.text(max_size=10)).map(", ".join))
def test_the_answer_is_always_an_address(peer: str, forwarded: str) -> None:
    """No header makes something else of an address."""
    found = client_address(peer, forwarded, TRUSTED)
    assert str(ipaddress.ip_address(found)) == found
