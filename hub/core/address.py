"""The address of the client behind trusted proxies."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence
from typing import TypeAlias

MAX_HOPS = 20
MAX_LENGTH = 128
"""Characters of one hop; more than any address with its zone and white space has."""

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def client_address(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """Return the client's address: the last one in the chain that is not a trusted proxy.

    ``peer`` is the address of the connection. ``forwarded`` is the ``X-Forwarded-For`` header, to
    which each proxy appends the address of its peer; it is read from the end, through at most
    `MAX_HOPS` trusted proxies, and reading stops at anything that is not an address. IPv6 zones
    are dropped, and IPv4-mapped IPv6 addresses are returned as IPv4.
    """
    client = peer
    hops = reversed(forwarded.rsplit(",", MAX_HOPS)[-MAX_HOPS:])
    for hop in [peer, *[part[-MAX_LENGTH:].strip() for part in hops]]:
        found = _read_address(hop)
        if found is None:
            break
        client, address = found
        if not any(address in network for network in trusted):
            break
    return client


@functools.lru_cache(4096)
def _read_address(text: str) -> tuple[str, ipaddress.IPv4Address | ipaddress.IPv6Address] | None:
    """Return an address, as it is written and as a value; None if the text is not one."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address), mapped or address
