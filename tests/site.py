"""A hub as its users meet it: replicas on loopback, tokens, and clients that write a diary."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from functools import cache
from typing import Any

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from hub.access.minting import mint_token
from hub.app import RELOADS, create_app, serve
from hub.settings import Settings
from tests.patience import PATIENCE

SECRET = "a secret for tests that is long enough"
ADMIN = "an admin token for tests"

# A page of an app that uses the browser client; a test puts what it needs into sessionStorage.
PAGE = """<!doctype html><html lang="en"><title>A page of the app</title>
<script type="module">
import { createLogoutHub } from "/client.js";
window.diary = [];
const given = JSON.parse(sessionStorage.getItem("given"));
window.hub = createLogoutHub({
  token: given.token,
  device: given.device,
  keep: ["theme", "given"],
  onLogout: (notification) => window.diary.push(["notified", notification]),
});
window.hub.on("state", (state) => window.diary.push([state, null]));
window.hub.on("error", (error) => window.diary.push(["refused", error]));
</script>"""


@cache
def signing_key(kind: str = "P-256") -> str:
    """Return a private key in PEM for hubs in tests to sign with: P-256, RSA or Ed25519."""
    makers: dict[str, Callable[[], ec.EllipticCurvePrivateKey | RSAPrivateKey | Ed25519PrivateKey]]
    makers = {
        "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "RSA": lambda: generate_private_key(65537, 2048),
        "Ed25519": Ed25519PrivateKey.generate,
    }
    pem = makers[kind]().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()


def settings(**changes: Any) -> Settings:
    """Return settings for a hub in a test."""
    given: dict[str, Any] = {
        "jwt_secret": SecretStr(SECRET),
        "admin_token": SecretStr(ADMIN),
        "notice_grace": 1,
        "port": 0,
        **changes,
    }
    if isinstance(given.get("redis_url"), str):
        given["redis_url"] = SecretStr(given["redis_url"])
    return Settings(**given)


class Answer:
    """An HTTP answer that was read whole."""

    def __init__(self, status: int, headers: Any, body: Any) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def code(self) -> str:
        """The error code of a problem."""
        assert self.headers["Content-Type"] == "application/problem+json"
        assert self.body["status"] == self.status
        code: str = self.body["code"]
        return code


class Replica:
    """One running hub, and an HTTP client for it."""

    def __init__(self, app: web.Application, port: int, http: aiohttp.ClientSession) -> None:
        self.app = app
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._http = http

    def beside(self, port: int) -> Replica:
        """Return another hub that listens on ``port`` of this machine, in a process of its own."""
        return Replica(self.app, port, self._http)

    async def reload(self) -> None:
        """Do what SIGHUP does."""
        for reload in self.app[RELOADS]:
            await reload()

    async def is_ready(self) -> bool:
        """Tell whether it answers, and that it is ready."""
        try:
            return (await self.call("GET", "/readyz")).status == 200
        except OSError:
            return False

    async def call(
        self,
        method: str,
        path: str,
        token: str | None = None,
        *,
        json: Any = None,
        data: Any = None,
        headers: dict[str, str] | None = None,
        cookies: dict[str, str] | None = None,
    ) -> Answer:
        """Send a request and return its answer; whatever the status, no answer is a failure."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        async with self._http.request(
            method, self.url + path, json=json, data=data, headers=sent, allow_redirects=False
        ) as answer:
            is_json = "json" in answer.headers.get("Content-Type", "")
            body = await (answer.json(content_type=None) if is_json else answer.text())
            return Answer(answer.status, answer.headers.copy(), body)


@contextlib.asynccontextmanager
async def running(hub_settings: Settings, *, demo: bool = False) -> AsyncIterator[Replica]:
    """Run a hub on loopback for the length of the context."""
    app = create_app(hub_settings, demo=demo)
    app.router.add_get("/app.html", _app_page)
    async with (
        serve(app, "127.0.0.1", hub_settings.port) as port,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as http,
    ):
        yield Replica(app, port, http)


async def _app_page(request: web.Request) -> web.Response:
    return web.Response(text=PAGE, content_type="text/html")


def token(user: str, sid: str | None = None, lifetime: float = 600, **claims: Any) -> str:
    """Return a token of ``user``."""
    return mint_token(SECRET, user, lifetime=lifetime, sid=sid, **claims)
