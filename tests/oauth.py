"""Clients of the OAuth endpoints in tests: a form and a secret in, an answer out."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import quote_plus

from tests.site import Answer, Replica

SHOP, SHOP_SECRET = "https://shop.example", "shop's secret: a+b/c=%41"
"""A client whose id and secret have all that has to be encoded in a header."""

BANK, BANK_SECRET = "bank", "another secret that is long"


def entry(client: str, secret: str) -> str:
    """Return what HUB_CLIENTS has of a client."""
    return f"{client}:{hashlib.sha256(secret.encode()).hexdigest()}"


CLIENTS = (entry(SHOP, SHOP_SECRET), entry(BANK, BANK_SECRET))


def basic(client: str, secret: str, *, encoded: bool = True) -> dict[str, str]:
    """Return the header of a client, encoded as RFC 6749 says or only as ``curl`` does."""
    parts = [quote_plus(part) if encoded else part for part in (client, secret)]
    return {"Authorization": "Basic " + base64.b64encode(":".join(parts).encode()).decode()}


async def revoke(hub: Replica, token: str, **given: Any) -> Answer:
    """Revoke a token."""
    return await hub.call("POST", "/revoke", data={"token": token}, **given)


async def introspect(hub: Replica, token: str, **given: Any) -> Answer:
    """Introspect a token, as the client BANK unless ``headers`` say otherwise."""
    given.setdefault("headers", basic(BANK, BANK_SECRET))
    return await hub.call("POST", "/introspect", data={"token": token}, **given)


async def is_active(hub: Replica, token: str) -> bool:
    """Return what introspection says."""
    answer = await introspect(hub, token)
    assert answer.status == 200
    found: bool = answer.body["active"]
    return found
