"""Where an issuer says that its keys are, asked of real servers on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from aiohttp import web

from hub.access import keys as keys_module
from hub.access.issuers import Issuers
from hub.access.keys import JwksKeys
from hub.core.issuers_document import read_entries
from hub.core.key_schedule import KEY_SET_LIFETIME
from hub.core.key_set import MAX_BODY_BYTES
from hub.errors import TokenInvalid, Unavailable
from tests.access.test_keys import CLAIMS, EC, Clock, certificate, named, published, renewed
from tests.keys import RSA
from tests.patience import PATIENCE

OPENID = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"


class Site:
    """A server whose pages are set by a test, and which notes what it is asked for."""

    def __init__(self) -> None:
        self.url = ""
        self.pages: dict[str, Any] = {"/keys": {"keys": [published(RSA, "RS256", "rsa-1")]}}
        self.asked: list[str] = []
        self.delay = 0.0

    def tells(self, path: str, issuer: Any, jwks_uri: Any) -> None:
        """Publish the metadata of an issuer."""
        self.pages[path] = {"issuer": issuer, "jwks_uri": jwks_uri, "scopes_supported": ["openid"]}

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Note, and answer: JSON, raw bytes, or a redirect for text."""
        self.asked.append(request.path)
        page = self.pages.get(request.path)
        await asyncio.sleep(self.delay)
        match page:
            case None:
                return web.Response(status=404, text="no such page")
            case bytes():
                return web.Response(body=page, content_type="application/json")
            case str():
                return web.Response(status=302, headers={"Location": page})
        return web.json_response(page)


@contextlib.asynccontextmanager
async def open_site(context: ssl.SSLContext | None, host: str = "127.0.0.1") -> AsyncIterator[Site]:
    """Serve a site, over TLS with a context."""
    site, app = Site(), web.Application()
    app.router.add_get("/{path:.*}", site.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    site.url = f"{'http' if context is None else 'https'}://{host}:{runner.addresses[0][1]}"
    try:
        yield site
    finally:
        await runner.cleanup()


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A certificate for the whole module."""
    return certificate(tmp_path_factory.mktemp("discovery"))


@pytest.fixture
async def issuer(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> AsyncIterator[Site]:
    """An issuer's server, with a key set and no metadata yet."""
    async with open_site(contexts[0]) as site:
        yield site


@pytest.fixture
async def elsewhere(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> AsyncIterator[Site]:
    """Another server."""
    async with open_site(contexts[0]) as site:
        yield site


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the keys a clock that may be moved, and a busy machine its time to answer."""
    made = Clock()
    monkeypatch.setattr(keys_module, "time", SimpleNamespace(monotonic=made.monotonic))
    monkeypatch.setattr(keys_module, "FETCH_TIMEOUT", PATIENCE)
    return made


@contextlib.asynccontextmanager
async def keys_of(
    issuer: str, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> AsyncIterator[JwksKeys]:
    """Discover the keys of an issuer."""
    async with contextlib.aclosing(JwksKeys(issuer, discovers=True, ssl=contexts[1])) as keys:
        yield keys


Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


async def test_the_document_of_openid_is_asked_first(issuer: Site, contexts: Contexts) -> None:
    """Who publishes both is taken at the word of OpenID Connect Discovery."""
    issuer.tells(OPENID, issuer.url, f"{issuer.url}/keys")
    issuer.tells(OAUTH, issuer.url, f"{issuer.url}/other")
    async with keys_of(issuer.url, contexts) as keys:
        assert (await keys.find(named()))[0].key_id == "rsa-1"
    assert issuer.asked == [OPENID, "/keys"]


@pytest.mark.parametrize("first", [None, b"<html>", b"[", "/elsewhere"])
async def test_the_document_of_oauth_is_asked_second(
    issuer: Site, contexts: Contexts, first: Any
) -> None:
    """An authorization server without OpenID is found as well (RFC 8414)."""
    issuer.pages[OPENID] = first
    issuer.tells(OAUTH, issuer.url, f"{issuer.url}/keys")
    async with keys_of(issuer.url, contexts) as keys:
        assert (await keys.find(named()))[0].key_id == "rsa-1"
    assert issuer.asked == [OPENID, OAUTH, "/keys"]


@pytest.mark.parametrize(
    ("path", "openid", "oauth"),
    [
        ("", OPENID, OAUTH),
        ("/", OPENID, OAUTH),
        ("/realms/shop", f"/realms/shop{OPENID}", f"{OAUTH}/realms/shop"),
        ("/application/o/shop/", f"/application/o/shop{OPENID}", f"{OAUTH}/application/o/shop"),
    ],
)
async def test_an_issuer_may_have_a_path_and_end_with_a_slash(
    issuer: Site, contexts: Contexts, path: str, openid: str, oauth: str
) -> None:
    """As at Keycloak, Auth0 and authentik: each specification has its own place for it."""
    name = issuer.url + path
    for place in (openid, oauth):
        issuer.pages.pop(openid, None)
        issuer.tells(place, name, f"{issuer.url}/keys")
        issuer.asked.clear()
        async with keys_of(name, contexts) as keys:
            assert (await keys.find(named()))[0].key_id == "rsa-1"
        assert issuer.asked[-2:] == [place, "/keys"]


@pytest.mark.parametrize(
    "named_by",
    [
        "https://evil.example",
        "{url}/",
        "{url}/realms/other",
        "{url}#",
        "HTTPS{rest}",
        "",
        None,
        5,
        ["{url}"],
    ],
)
async def test_metadata_of_another_issuer_is_not_believed(
    issuer: Site, contexts: Contexts, named_by: Any
) -> None:
    """The name is compared letter by letter (section 4.3), and no key of it is fetched."""
    if isinstance(named_by, str):
        named_by = named_by.format(url=issuer.url, rest=issuer.url.removeprefix("https"))
    issuer.tells(OPENID, named_by, f"{issuer.url}/keys")
    issuer.tells(OAUTH, issuer.url, f"{issuer.url}/keys")
    async with keys_of(issuer.url, contexts) as keys:
        with pytest.raises(Unavailable):
            await keys.find(named())
    assert issuer.asked == [OPENID]


async def test_the_keys_may_be_on_another_host(
    issuer: Site, elsewhere: Site, contexts: Contexts
) -> None:
    """As at Google, whose keys have a host of their own."""
    issuer.tells(OPENID, issuer.url, f"{elsewhere.url}/keys")
    async with keys_of(issuer.url, contexts) as keys:
        assert (await keys.find(named()))[0].key_id == "rsa-1"
    assert (issuer.asked, elsewhere.asked) == ([OPENID], ["/keys"])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_http_will_do_on_loopback(contexts: Contexts, host: str) -> None:
    """A provider on one's laptop has no certificate."""
    async with open_site(None, host) as site:
        site.tells(OPENID, site.url, f"{site.url}/keys")
        async with keys_of(site.url, contexts) as keys:
            assert (await keys.find(named()))[0].key_id == "rsa-1"


@pytest.mark.parametrize(
    "address",
    [
        "http://keys.example/jwks",
        "http://127.0.0.1.nip.example/jwks",
        "http://localhost.example/jwks",
        "http://localhost@keys.example/jwks",
        "http://192.0.2.1/jwks",
        "http://[::ffff:192.0.2.1]/jwks",
        "file:///etc/passwd",
        "ftp://127.0.0.1/jwks",
        "data:application/json,{}",
        "//127.0.0.1/jwks",
        "/keys",
        "https://",
        "https:///keys",
        "http://[/jwks",
        "",
        None,
        5,
        ["https://127.0.0.1/keys"],
    ],
)
async def test_keys_are_not_fetched_from_any_address(
    issuer: Site, contexts: Contexts, monkeypatch: pytest.MonkeyPatch, address: Any
) -> None:
    """Over https, or http on this machine; what else the metadata names is not even asked."""
    issuer.tells(OPENID, issuer.url, address)
    fetched: list[str] = []
    get = keys_module.fetch_bytes

    async def note(http: Any, url: str, context: Any) -> bytes:
        fetched.append(url)
        return await get(http, url, context)

    monkeypatch.setattr(keys_module, "fetch_bytes", note)
    async with keys_of(issuer.url, contexts) as keys:
        with pytest.raises(Unavailable):
            await keys.find(named())
    assert fetched == [f"{issuer.url}{OPENID}"]


@pytest.mark.parametrize("path", [OPENID, "/keys"])
async def test_no_redirect_is_followed(
    issuer: Site, elsewhere: Site, contexts: Contexts, path: str
) -> None:
    """Neither for the metadata nor for the keys: what was configured is what is asked."""
    issuer.tells(OPENID, issuer.url, f"{issuer.url}/keys")
    elsewhere.tells("/taken", issuer.url, f"{issuer.url}/keys")
    issuer.pages[path] = f"{elsewhere.url}/taken"
    async with keys_of(issuer.url, contexts) as keys:
        with pytest.raises(Unavailable):
            await keys.find(named())
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'"text"',
        b"{",
        b"\xff",
        b"{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b" " * (MAX_BODY_BYTES + 1),
    ],
    ids=[
        "empty",
        "html",
        "list",
        "null",
        "text",
        "cut",
        "bytes",
        "nothing",
        "deep",
        "deeper",
        "big",
    ],
)
async def test_metadata_of_another_form_is_none(
    issuer: Site, contexts: Contexts, body: bytes
) -> None:
    """Whatever is answered, the token is neither good nor bad, and nothing fails."""
    issuer.pages[OPENID] = issuer.pages[OAUTH] = body
    async with keys_of(issuer.url, contexts) as keys:
        with pytest.raises(Unavailable):
            await keys.find(named())
    assert "/keys" not in issuer.asked


async def test_metadata_is_at_most_a_megabyte(issuer: Site, contexts: Contexts) -> None:
    """The largest that is read is taken; one byte more is not."""
    text = json.dumps({"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"}).encode()
    issuer.pages[OPENID] = text + b" " * (MAX_BODY_BYTES - len(text))
    async with keys_of(issuer.url, contexts) as keys:
        assert (await keys.find(named()))[0].key_id == "rsa-1"
    issuer.pages[OPENID] += b" "
    async with keys_of(issuer.url, contexts) as keys:
        with pytest.raises(Unavailable):
            await keys.find(named())


async def test_a_rotated_key_is_found_where_the_metadata_says(
    issuer: Site, contexts: Contexts
) -> None:
    """The metadata is read anew with the keys, so that the set may move as well."""
    issuer.tells(OPENID, issuer.url, f"{issuer.url}/keys")
    async with keys_of(issuer.url, contexts) as keys:
        await keys.find(named())
        issuer.pages["/keys-2"] = {"keys": [published(EC, "ES256", "ec-2")]}
        issuer.tells(OPENID, issuer.url, f"{issuer.url}/keys-2")
        assert (await keys.find(named("ec-2", "ES256")))[0].key_id == "ec-2"
        with pytest.raises(TokenInvalid):
            await keys.find(named())
    assert issuer.asked == [OPENID, "/keys", OPENID, "/keys-2"]


@pytest.mark.parametrize("broken", [OPENID, "/keys"])
@pytest.mark.parametrize("page", [None, b"<html>", {"issuer": "https://evil.example"}])
async def test_the_last_keys_stay_while_the_issuer_is_out(
    issuer: Site, contexts: Contexts, clock: Clock, broken: str, page: Any
) -> None:
    """Whether the metadata or the key set is gone; and they are found again afterwards."""
    issuer.tells(OPENID, issuer.url, f"{issuer.url}/keys")
    async with keys_of(issuer.url, contexts) as keys:
        await keys.find(named())
        good = issuer.pages[broken]
        issuer.pages[broken] = page
        clock.offset += KEY_SET_LIFETIME + 1
        await renewed(keys)
        assert (await keys.find(named()))[0].key_id == "rsa-1"
        issuer.pages[broken] = good
        issuer.pages["/keys"] = {"keys": [published(RSA, "RS256", "rsa-2")]}
        clock.offset += KEY_SET_LIFETIME + 1
        assert (await keys.find(named("rsa-2")))[0].key_id == "rsa-2"


async def test_a_fetch_has_one_time_limit_for_all_its_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who waits for a key waits that long, though each request alone is answered in time."""
    monkeypatch.setattr(keys_module, "FETCH_TIMEOUT", 0.5)
    async with open_site(None) as site:
        site.tells(OPENID, site.url, f"{site.url}/keys")
        site.delay = 0.3
        async with contextlib.aclosing(JwksKeys(site.url, discovers=True)) as keys:
            with pytest.raises(Unavailable):
                await keys.find(named())


async def test_a_server_that_nobody_vouches_for_is_no_issuer(issuer: Site) -> None:
    """A certificate of its own making proves nothing."""
    issuer.tells(OPENID, issuer.url, f"{issuer.url}/keys")
    async with contextlib.aclosing(JwksKeys(issuer.url, discovers=True)) as keys:
        with pytest.raises(Unavailable):
            await keys.find(named())
    assert issuer.asked == []


async def test_no_token_makes_the_hub_ask_anybody() -> None:
    """Whatever addresses stand in a token, only those of the settings are asked."""
    async with open_site(None) as issuer, open_site(None) as trap:
        issuer.tells(OPENID, issuer.url, f"{issuer.url}/keys")
        trap.tells(OPENID, trap.url, f"{trap.url}/keys")
        entries = read_entries(
            f'[[issuer]]\niss = "{issuer.url}"\naliases = ["{trap.url}/old"]\naudience = "app"',
            max_lifetime=3600,
            leeway=0,
        )
        own = published(EC, "ES256", "rsa-1")
        hostile: list[dict[str, Any]] = [
            {"jku": f"{trap.url}/keys"},
            {"x5u": f"{trap.url}/certificate"},
            {"jwk": own},
            {"x5c": ["AAAA"]},
            {"kid": f"{trap.url}/keys"},
            {"kid": "../../../etc/passwd"},
        ]
        async with contextlib.aclosing(Issuers(entries)) as issuers:
            for more in hostile:
                for iss in (issuer.url, trap.url, f"{trap.url}/old"):
                    claims = {**CLAIMS, "iss": iss, "aud": "app"}
                    token = jwt.encode(claims, EC, "ES256", headers={"kid": "rsa-1", **more})
                    with pytest.raises(TokenInvalid):
                        await issuers.verify(token)
            good = {**CLAIMS, "iss": f"{trap.url}/old", "aud": "app"}
            token = jwt.encode(good, RSA, "RS256", headers={"kid": "rsa-1", "jku": trap.url})
            assert (await issuers.verify(token)).sub == "ada"
        assert trap.asked == []
        assert set(issuer.asked) == {OPENID, "/keys"}
