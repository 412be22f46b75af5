"""``GET /verify``: forward authentication for reverse proxies."""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web

from hub.api.answers import NoContent
from hub.api.credentials import admit_uncounted

# Visible ASCII stays as it is, but for the percent sign. Nothing else travels safely in a header:
# spaces at the ends are stripped on the way, and would make one user of two.
SAFE = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")


async def get_verify(request: web.Request) -> NoContent:
    """Return 204 with who the caller is, in headers for the backend behind the proxy.

    All of them are always there, so that a proxy which takes them from here leaves none of the
    client's own in their place.
    """
    identity = (await admit_uncounted(request)).identity
    headers = {
        "X-Auth-User": quote(identity.sub, safe=SAFE),
        "X-Auth-Session": quote(identity.sid, safe=SAFE),
        "X-Auth-Issuer": quote(identity.iss, safe=SAFE),
    }
    return NoContent(headers=headers)
