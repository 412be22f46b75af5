"""Names and addresses of hosts, and the origins that browsers call them by."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

USUAL_PORTS = {"http": 80, "https": 443}


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is loopback; IPv6 may be in brackets."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def browser_origin(text: str) -> str:
    """Return an origin in lower case, as browsers send it in ``Origin``.

    Raises:
        ValueError: when no browser sends it, so that it would match nothing; says what to write.
    """
    if "*" in text:
        raise ValueError(f"{text!r} would match no origin: write each one, as https://app.example")
    if not text.isascii():
        raise ValueError(f"{text!r}: browsers send names of hosts in ASCII: write it with xn--")
    lowered = text.lower()
    try:
        sent = _serialize(urlsplit(lowered))
    except ValueError:
        sent = None
    if sent is None:
        raise ValueError(f"{text!r} is not an origin like https://app.example")
    if sent != lowered:
        raise ValueError(f"{text!r} is not what browsers send: write {sent}")
    return sent


def _serialize(parts: SplitResult) -> str | None:
    """Return the origin of a URL; None if it has none.

    Raises:
        ValueError: when its port is not one.
    """
    host = parts.hostname or ""
    if parts.scheme not in USUAL_PORTS:
        # Of apps, such as capacitor://localhost, whose hosts and ports are taken as they are.
        return f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else None
    host = f"[{ipaddress.IPv6Address(host)}]" if ":" in host else host.rstrip(".")
    if not re.fullmatch(r"[a-z0-9._-]+|\[.*\]", host):
        return None
    is_usual = parts.port in (None, USUAL_PORTS[parts.scheme])
    return f"{parts.scheme}://{host}" + ("" if is_usual else f":{parts.port}")
