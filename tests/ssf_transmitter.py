"""A transmitter of Shared Signals, for tests.

It is written from the specifications, apart from the code of the hub that it is to test: OpenID
Shared Signals Framework 1.0, RFC 8417 (security event tokens), RFC 8935 (push), RFC 8936 (poll) and
RFC 6749 section 4.4 (client credentials). `Transmitter.misbehave` makes it answer as it should not.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import secrets
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

import aiohttp
import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.keys import rsa_key

PUSH, POLL = "urn:ietf:rfc:8935", "urn:ietf:rfc:8936"
VERIFICATION = "https://schemas.openid.net/secevent/ssf/event-type/verification"
STREAM_UPDATED = "https://schemas.openid.net/secevent/ssf/event-type/stream-updated"
SESSION_REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"

Answer: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
"""What is answered in place of the right answer."""


# ---- Wrong answers ----


def failing(status: int = 500, **headers: str) -> Answer:
    """Return an answer with a status and headers (``retry_after`` is ``Retry-After``)."""

    async def answer(request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, headers=named)

    return answer


def silent() -> Answer:
    """Return an answer that never comes."""

    async def answer(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        return web.Response()

    return answer


def saying(text: str, content_type: str = "text/html", status: int = 200) -> Answer:
    """Return an answer with any text."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(text=text, content_type=content_type, status=status)

    return answer


def huge() -> Answer:
    """Return an answer of two megabytes of valid JSON."""
    return saying(json.dumps({"sets": {}, "padding": "x" * 2_000_000}), "application/json")


# ---- The transmitter ----


@dataclass
class Stream:
    """An event stream; ``queue`` holds what is not acknowledged, oldest first.

    ``aud`` is shown as it is, unless that is ``...``: then it is the transmitter's.
    """

    id: str
    delivery: dict[str, Any]
    events_requested: list[str]
    description: str | None = None
    status: str = "enabled"
    reason: str | None = None
    queue: dict[str, str] = field(default_factory=dict)
    acknowledged: list[str] = field(default_factory=list)
    errors: dict[str, dict[str, str]] = field(default_factory=dict)
    subjects: list[Any] = field(default_factory=list)
    aud: Any = ...


class Transmitter:
    """One transmitter with its streams; `serve` runs it.

    ``bearer`` and the tokens that are got for ``client_id`` and ``client_secret`` let in.
    ``keeps_sending`` makes polls return what was acknowledged, ``reverses`` the newest first.
    """

    def __init__(self, *, path: str = "", aud: str = "https://hub.example") -> None:
        self.path = path
        self.aud = aud
        self.iss = ""
        self.bearer = secrets.token_urlsafe(16)
        self.client_id, self.client_secret = "hub:1", "a secret/+"
        self.token_lifetime = 3600.0
        self.long_poll = 5.0
        self.allows_many = False
        self.keeps_sending = False
        self.reverses = False
        self.streams: dict[str, Stream] = {}
        self.requests: list[tuple[str, str, int]] = []
        self.polls: list[dict[str, Any]] = []
        self._answers: dict[str, deque[Answer]] = defaultdict(deque)
        self._tokens: dict[str, float] = {}
        self._changed = asyncio.Condition()
        self._keys: list[tuple[str, rsa.RSAPrivateKey]] = []
        self._rotations = 0
        self.rotate_keys()

    # ---- What a test does to it ----

    def misbehave(self, endpoint: str, *answers: Answer) -> None:
        """Answer the next requests to an endpoint in these ways."""
        self._answers[endpoint].extend(answers)

    def behave(self) -> None:
        """Answer rightly from now on."""
        self._answers.clear()

    def rotate_keys(self) -> None:
        """Sign with a new key; the old one is no longer published."""
        self._rotations += 1
        self._keys = [(secrets.token_hex(4), rsa_key(self._rotations))]

    def revoke_tokens(self) -> None:
        """End all access tokens, before their time."""
        self._tokens.clear()

    def count(self, endpoint: str) -> int:
        """Return how many requests an endpoint has got."""
        return sum(path == endpoint for _, path, _ in self.requests)

    def sign(self, claims: Mapping[str, Any], *, typ: str = "secevent+jwt") -> str:
        """Return a signed token."""
        kid, key = self._keys[-1]
        return jwt.encode(dict(claims), key, "RS256", headers={"kid": kid, "typ": typ})

    def claims(self, event: str, details: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """Return the claims of a security event token (RFC 8417, SSF 1.0 section 4)."""
        base = {
            "iss": self.iss,
            "aud": self.aud,
            "iat": int(time.time()),
            "jti": secrets.token_urlsafe(12),
            "events": {event: dict(details)},
        }
        return base | more

    async def emit(
        self, event: str = SESSION_REVOKED, details: Mapping[str, Any] | None = None, **more: Any
    ) -> str:
        """Put an event into the queue of each stream that wants it, and return its ``jti``."""
        claims = self.claims(event, details or {}, **more)
        for stream in self.streams.values():
            if stream.status != "disabled" and event in (stream.events_requested or [event]):
                await self.enqueue(stream, claims["jti"], self.sign(claims))
        return str(claims["jti"])

    async def enqueue(self, stream: Stream, jti: str, token: str) -> None:
        """Put anything into a stream's queue."""
        async with self._changed:
            stream.queue[jti] = token
            self._changed.notify_all()

    async def update_status(self, stream: Stream, status: str, reason: str) -> None:
        """Change a stream's status, and say so on it (SSF 1.0 section 8.1.5)."""
        claims = self.claims(
            STREAM_UPDATED,
            {"status": status, "reason": reason},
            sub_id={"format": "opaque", "id": stream.id},
        )
        await self.enqueue(stream, claims["jti"], self.sign(claims))
        stream.status, stream.reason = status, reason

    def open_polled(self) -> Stream:
        """Open a stream for polls, as a receiver that asks for one gets it."""
        stream = Stream("s", {}, [])
        self._change(stream, {"delivery": {"method": POLL}}, replaces=True)
        self.streams[stream.id] = stream
        return stream

    async def wait_until(self, is_so: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until something is so of what it has got."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(is_so)

    # ---- Push (RFC 8935) ----

    async def push(self, stream: Stream, *, attempts: int = 1, pause: float = 0.1) -> list[int]:
        """Deliver what is queued in order, and return the status of each answer.

        With 202 a token is acknowledged, and 400 is final; anything else is tried again.
        """
        statuses = []
        async with aiohttp.ClientSession() as http:
            for jti, token in list(stream.queue.items()):
                for attempt in range(attempts):
                    await asyncio.sleep(pause * attempt)
                    status, body = await self._send(http, stream, token)
                    statuses.append(status)
                    if status == 202:
                        stream.acknowledged.append(jti)
                    elif status == 400:
                        stream.errors[jti] = body
                    else:
                        continue
                    del stream.queue[jti]
                    break
        return statuses

    async def _send(
        self, http: aiohttp.ClientSession, stream: Stream, token: str
    ) -> tuple[int, Any]:
        headers = {"Content-Type": "application/secevent+jwt", "Accept": "application/json"}
        if "authorization_header" in stream.delivery:
            headers["Authorization"] = stream.delivery["authorization_header"]
        url = stream.delivery["endpoint_url"]
        try:
            async with http.post(
                url, data=token, headers=headers, allow_redirects=False
            ) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError):
            return 0, None
        with contextlib.suppress(ValueError):
            return response.status, json.loads(text)
        return response.status, None

    # ---- Its endpoints ----

    def metadata(self) -> dict[str, Any]:
        """Return the transmitter's configuration (SSF 1.0 section 7.1)."""
        return {
            "spec_version": "1_0",
            "issuer": self.iss,
            "jwks_uri": f"{self._base}/jwks",
            "delivery_methods_supported": [PUSH, POLL],
            "configuration_endpoint": f"{self._base}/stream",
            "status_endpoint": f"{self._base}/status",
            "add_subject_endpoint": f"{self._base}/subject/add",
            "remove_subject_endpoint": f"{self._base}/subject/remove",
            "verification_endpoint": f"{self._base}/verification",
            "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6749"}],
            "default_subjects": "ALL",
        }

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[Transmitter]:
        """Serve inside the context, on loopback."""
        app = web.Application(middlewares=[self._keep_watch])
        app.router.add_get(f"/.well-known/ssf-configuration{self.path}", self._configuration)
        app.router.add_get("/jwks", self._jwks)
        app.router.add_post("/token", self._token)
        app.router.add_route("*", "/stream", self._stream)
        app.router.add_route("*", "/status", self._status)
        app.router.add_post("/verification", self._verification)
        app.router.add_post("/subject/{what}", self._subject)
        app.router.add_post("/poll/{id}", self._poll)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self._base = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self.iss = self._base + self.path
            yield self
        finally:
            await runner.cleanup()

    @property
    def token_url(self) -> str:
        """Where access tokens are got."""
        return f"{self._base}/token"

    @web.middleware
    async def _keep_watch(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        endpoint = urlsplit(request.path).path.split("/")[1]
        status = 0
        try:
            if self._answers[endpoint]:
                answer = await self._answers[endpoint].popleft()(request)
            elif endpoint not in (".well-known", "jwks", "token") and not self._lets_in(request):
                answer = web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
            else:
                answer = await handler(request)
            status = answer.status
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            async with self._changed:
                self.requests.append((request.method, endpoint, status))
                self._changed.notify_all()
        return answer

    def _lets_in(self, request: web.Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        alive = self._tokens.get(token, 0) > time.monotonic()
        return scheme == "Bearer" and (token == self.bearer or alive)

    async def _configuration(self, request: web.Request) -> web.Response:
        return web.json_response(self.metadata())

    async def _jwks(self, request: web.Request) -> web.Response:
        keys = [
            RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": kid, "use": "sig"}
            for kid, key in self._keys
        ]
        return web.json_response({"keys": keys})

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        given = form.get("client_id"), form.get("client_secret")
        scheme, _, basic = request.headers.get("Authorization", "").partition(" ")
        with contextlib.suppress(binascii.Error, ValueError):
            if scheme == "Basic":
                # Both are form-encoded first (RFC 6749 section 2.3.1).
                name, _, secret = base64.b64decode(basic).decode().partition(":")
                given = unquote(name.replace("+", " ")), unquote(secret.replace("+", " "))
        if given != (self.client_id, self.client_secret):
            return web.json_response({"error": "invalid_client"}, status=401)
        token = secrets.token_urlsafe(16)
        self._tokens[token] = time.monotonic() + self.token_lifetime
        answer = {"access_token": token, "token_type": "Bearer", "scope": form.get("scope", "")}
        return web.json_response(answer | {"expires_in": int(self.token_lifetime)})

    # ---- Streams (SSF 1.0 section 8.1.1) ----

    def show(self, stream: Stream) -> dict[str, Any]:
        """Return a stream's configuration."""
        shown = {
            "stream_id": stream.id,
            "iss": self.iss,
            "aud": self.aud if stream.aud is ... else stream.aud,
            "delivery": stream.delivery,
            "events_supported": [SESSION_REVOKED],
            "events_requested": stream.events_requested,
            "events_delivered": [e for e in stream.events_requested if e == SESSION_REVOKED],
        }
        return shown if stream.description is None else shown | {"description": stream.description}

    async def _stream(self, request: web.Request) -> web.Response:
        given = await _json_of(request) if request.method in ("POST", "PATCH", "PUT") else {}
        if request.method == "POST":
            return self._create(given)
        named = given.get("stream_id") or request.query.get("stream_id")
        if request.method == "GET" and named is None:
            return web.json_response([self.show(stream) for stream in self.streams.values()])
        stream = self._find(named)
        if request.method == "DELETE":
            del self.streams[stream.id]
            return web.Response(status=204)
        if request.method in ("PATCH", "PUT"):
            self._change(stream, given, replaces=request.method == "PUT")
        return web.json_response(self.show(stream))

    def _create(self, given: dict[str, Any]) -> web.Response:
        if self.streams and not self.allows_many:
            raise web.HTTPConflict
        stream = Stream(secrets.token_hex(8), {}, [])
        self._change(stream, {"delivery": {"method": POLL}} | given, replaces=True)
        self.streams[stream.id] = stream
        return web.json_response(self.show(stream), status=201)

    def _change(self, stream: Stream, given: dict[str, Any], *, replaces: bool) -> None:
        if "delivery" in given:
            delivery = dict(given["delivery"])
            if delivery.get("method") == POLL:
                delivery["endpoint_url"] = f"{self._base}/poll/{stream.id}"
            elif delivery.get("method") != PUSH or not delivery.get("endpoint_url"):
                raise web.HTTPBadRequest
            stream.delivery = delivery
        if replaces or "events_requested" in given:
            stream.events_requested = list(given.get("events_requested", []))
        if replaces or "description" in given:
            stream.description = given.get("description")

    def _find(self, named: Any) -> Stream:
        if named not in self.streams:
            raise web.HTTPNotFound
        return self.streams[named]

    async def _status(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            stream = self._find(request.query.get("stream_id"))
        else:
            given = await _json_of(request)
            stream = self._find(given.get("stream_id"))
            if given.get("status") not in ("enabled", "paused", "disabled"):
                raise web.HTTPBadRequest
            stream.status, stream.reason = given["status"], given.get("reason")
            if stream.status == "disabled":
                stream.queue.clear()
        shown = {"stream_id": stream.id, "status": stream.status}
        return web.json_response(shown | ({"reason": stream.reason} if stream.reason else {}))

    async def _verification(self, request: web.Request) -> web.Response:
        given = await _json_of(request)
        stream = self._find(given.get("stream_id"))
        details = {"state": given["state"]} if "state" in given else {}
        claims = self.claims(VERIFICATION, details, sub_id={"format": "opaque", "id": stream.id})
        await self.enqueue(stream, claims["jti"], self.sign(claims))
        return web.Response(status=204)

    async def _subject(self, request: web.Request) -> web.Response:
        given = await _json_of(request)
        stream = self._find(given.get("stream_id"))
        if request.match_info["what"] == "add":
            stream.subjects.append(given["subject"])
            return web.Response(status=200)
        if given["subject"] in stream.subjects:
            stream.subjects.remove(given["subject"])
        return web.Response(status=204)

    # ---- Poll (RFC 8936) ----

    async def _poll(self, request: web.Request) -> web.Response:
        stream = self._find(request.match_info["id"])
        given = await _json_of(request)
        self.polls.append(given)
        async with self._changed:
            for jti in given.get("ack", []):
                stream.acknowledged.append(jti)
                if not self.keeps_sending:
                    stream.queue.pop(jti, None)
            for jti, error in given.get("setErrs", {}).items():
                stream.errors[jti] = error
                stream.queue.pop(jti, None)
            self._changed.notify_all()
            most = given.get("maxEvents", len(stream.queue) or 100)
            if most and not given.get("returnImmediately", False):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.long_poll):
                        await self._changed.wait_for(lambda: self._available(stream))
            found = self._available(stream)
        sets = {jti: stream.queue[jti] for jti in found[:most]}
        return web.json_response({"sets": sets, "moreAvailable": len(found) > len(sets)})

    def _available(self, stream: Stream) -> list[str]:
        if stream.status != "enabled":
            return []
        return list(reversed(stream.queue)) if self.reverses else list(stream.queue)


async def _json_of(request: web.Request) -> dict[str, Any]:
    try:
        given = json.loads(await request.text())
    except ValueError:
        raise web.HTTPBadRequest from None
    if request.content_type != "application/json" or not isinstance(given, dict):
        raise web.HTTPBadRequest
    return given
