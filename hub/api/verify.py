"""``GET /verify``: forward authentication for reverse proxies."""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web

from hub.api.answers import NoContent
from hub.api.credentials import admit_uncounted

# Visible ASCII is not encoded, except the percent sign. Anything else is unsafe in a header: spaces
# at the ends would be stripped on the way, so that two users became one.
SAFE = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")


async def get_verify(request: web.Request) -> NoContent:
    """Return 204 and the caller's identity, in headers for the backend behind the proxy.

    All three headers are always set, so that a proxy which copies them overwrites any that the
    client sent.
    """
    identity = (await admit_uncounted(request)).identity
    headers = {
        "X-Auth-User": quote(identity.sub, safe=SAFE),
        "X-Auth-Session": quote(identity.sid, safe=SAFE),
        "X-Auth-Issuer": quote(identity.iss, safe=SAFE),
    }
    return NoContent(headers=headers)
