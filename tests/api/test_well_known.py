"""What a hub receives and where is said at a well-known address."""

from __future__ import annotations

from pathlib import Path

from tests.oauth import BANK_SECRET, CLIENTS
from tests.site import ADMIN, SECRET, Replica, running, settings

PATH = "/.well-known/logout-hub"
FILE = f'''
[[issuer]]
iss = "https://one.test"
secret = "{SECRET}"
logout_audience = "web"

[[issuer]]
iss = "https://two.test"
secret = "{SECRET}"
revocation_audience = "https://hub.test/global-token-revocation"

[[transmitter]]
iss = "https://ssf.test"
aud = "hub"
delivery = "push"
issuer = "https://one.test"
authorization = "Bearer a secret of the stream"

[[client]]
id = "api"
secret = "a secret of the client"
'''


async def test_addresses_are_paths_as_long_as_the_hub_does_not_know_its_own() -> None:
    """Whatever Host a request has: it may be anybody's."""
    async with running(settings()) as hub:
        answer = await hub.call("GET", PATH, headers={"Host": "evil.test"})
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert "evil" not in str(answer.body)
        assert "issuer" not in answer.body
        await check_served(hub, {name: str(value) for name, value in answer.body.items()})


async def check_served(hub: Replica, told: dict[str, str]) -> None:
    """Fail unless every address that is named is one of the hub's."""
    paths = [value for value in told.values() if value.startswith("/")]
    assert len(paths) >= 10
    for path in paths:
        assert (await hub.call("GET", path)).status in (200, 400, 401, 405), path


async def test_a_hub_that_knows_its_address_says_urls() -> None:
    """With HUB_PUBLIC_URL, also under a path."""
    async with running(settings(public_url="https://apps.test/hub")) as hub:
        told = (await hub.call("GET", PATH)).body
        assert told["issuer"] == "https://apps.test/hub"
        assert told["revocation_endpoint"] == "https://apps.test/hub/revoke"
        assert not [value for value in told.values() if str(value).startswith("/")]


async def test_it_names_whom_the_hub_listens_to_and_no_secret(tmp_path: Path) -> None:
    """Issuers by what is taken of them, transmitters with their delivery."""
    file = tmp_path / "issuers.toml"
    file.write_text(FILE)
    given = settings(jwt_secret=None, issuers=str(file), clients=CLIENTS)
    async with running(given) as hub:
        told = (await hub.call("GET", PATH)).body
        assert told["backchannel_logout_issuers"] == ["https://one.test"]
        assert told["global_token_revocation_issuers"] == ["https://two.test"]
        assert told["transmitters"] == [{"iss": "https://ssf.test", "delivery": "push"}]
        for secret in (SECRET, ADMIN, BANK_SECRET, "a secret of", "bank", 'api"'):
            assert secret not in str(told)
