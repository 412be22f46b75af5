"""A real OpenID provider in a process of its own, and people who log in to its clients."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import aiohttp

from tests.conftest import lacking

HERE = Path(__file__).parent
CLIENTS = {"web": "RS256", "phone": "ES256"}
"""The clients of the provider, with what their tokens are signed by."""

RESOURCE = "https://shop.example/api"

NOBODY = "http://127.0.0.1/nobody"
"""Where logout tokens go if no test receives them."""


class Browser:
    """A person's browser: it keeps the cookies of the provider, and so its login."""

    def __init__(self, issuer: str, http: aiohttp.ClientSession) -> None:
        self._issuer = issuer
        self._http = http

    async def log_in(self, client: str, user: str = "ada", **more: str) -> Tokens:
        """Go through the login of a client; the provider asks who it is only if it has to."""
        asked = {
            "client_id": client,
            "response_type": "code",
            "scope": "openid orders",
            "resource": RESOURCE,
            "redirect_uri": f"http://127.0.0.1/{client}",
            "login_hint": user,
            **more,
        }
        url: str = f"{self._issuer}/auth"
        query: dict[str, str] | None = asked
        for _ in range(8):
            async with self._http.get(url, params=query, allow_redirects=False) as answer:
                assert answer.status in (302, 303), await answer.text()
                url, query = urljoin(url, answer.headers["Location"]), None
            if url.startswith(asked["redirect_uri"]):
                break
        (code,) = parse_qs(urlsplit(url).query)["code"]
        return await self._ask_for_tokens(
            client, grant_type="authorization_code", code=code, redirect_uri=asked["redirect_uri"]
        )

    async def refresh(self, tokens: Tokens) -> Tokens:
        """Get new tokens for those of a login, without the person."""
        return await self._ask_for_tokens(
            tokens.client, grant_type="refresh_token", refresh_token=tokens.refresh
        )

    async def log_out(self, tokens: Tokens, *, everywhere: bool = True) -> None:
        """Go to the provider's logout page from a client, and press a button there.

        One is for the whole login, the other for this client only. It returns once the provider has
        an answer to each logout token, or has given up.
        """
        url = f"{self._issuer}/session/end"
        async with self._http.get(url, params={"id_token_hint": tokens.id_token}) as page:
            (xsrf,) = re.findall(r'name="xsrf" value="([^"]+)"', await page.text())
        form = {"xsrf": xsrf} | ({"logout": "yes"} if everywhere else {})
        async with self._http.post(f"{url}/confirm", data=form, allow_redirects=False) as answer:
            assert answer.status == 303, await answer.text()

    async def told(self) -> list[dict[str, str]]:
        """Return what the provider says of each logout token: its outcome, client, sid, error."""
        async with self._http.get(f"{self._issuer}/told") as answer:
            return list(json.loads(await answer.text()))

    async def _ask_for_tokens(self, client: str, **form: str) -> Tokens:
        form["resource"] = RESOURCE
        url = f"{self._issuer}/token"
        headers = {"Authorization": aiohttp.encode_basic_auth(client, f"secret-of-{client}")}
        async with self._http.post(url, data=form, headers=headers) as answer:
            told = await answer.json()
            assert answer.status == 200, told
            return Tokens(client, told)


class Tokens:
    """The tokens of a login at one client."""

    def __init__(self, client: str, told: dict[str, Any]) -> None:
        self.client = client
        self.access: str = told["access_token"]
        self.refresh: str = told["refresh_token"]
        self.id_token: str = told["id_token"]


class Provider:
    """A provider that runs."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer

    @contextlib.asynccontextmanager
    async def browser(self) -> AsyncIterator[Browser]:
        """Open a new browser."""
        jar = aiohttp.CookieJar(unsafe=True)
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(cookie_jar=jar, timeout=timeout) as http:
            yield Browser(self.issuer, http)


@contextlib.contextmanager
def running_provider(
    *, names_login: bool = True, receiver: str = NOBODY, names_session: bool = True
) -> Iterator[Provider]:
    """Run a provider for the length of the context.

    Its tokens name the login, or do not. It sends logout tokens to ``receiver``, which name the
    session, or only the user.
    """
    node = shutil.which("node")
    if node is None or not (HERE.parents[1] / "node_modules" / "oidc-provider").is_dir():
        lacking("Node with the packages of package.json")
    options = {
        "clients": CLIENTS,
        "resource": RESOURCE,
        "namesLogin": names_login,
        "receiver": receiver,
        "namesSession": names_session,
    }
    with subprocess.Popen(
        [str(node), str(HERE / "oidc_provider.mjs"), json.dumps(options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        try:
            # It ends by itself, and so does this line, if it cannot start.
            yield Provider(json.loads(process.stdout.readline())["issuer"])
        finally:
            process.kill()
