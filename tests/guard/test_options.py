"""The arguments of a guard, and the variables that it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hub.core.issuers import Source
from hub.environment import load_settings
from hub.errors import InvalidRequest, TokenInvalid
from hub.guard import SyncGuard
from hub.guard.options import VARIABLES, read_environ
from hub.issuers_file import load_entries
from hub.settings import Settings
from tests.site import SECRET

REQUIRED = {"HUB_URL": "https://a.example, https://b.example/base/", "HUB_GUARD_TOKEN": "t"}

FILE = """
[[issuer]]
iss = "https://login.example"
audience = "app"
[[issuer]]
iss = "https://other.example"
secret = "a secret for tests that is long enough"
"""


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"url": "hub.example"}, "hub.example"),
        ({"url": "ftp://hub.example"}, "ftp"),
        ({"url": "https://hub.example/?a=b"}, "hub.example"),
        ({"url": []}, "url"),
        ({"token": ""}, "token"),
        ({"token": "a\nb"}, "token"),
        ({"on_stale": "panic"}, "on_stale"),
        ({"max_staleness": 0}, "max_staleness"),
        ({"max_staleness": float("nan")}, "max_staleness"),
        ({"max_staleness": float("inf")}, "max_staleness"),
        ({"admin_token": "a secret\n"}, "admin_token: is not the HUB_ADMIN_TOKEN of a hub$"),
        ({"secret": "short"}, "secret"),
    ],
)
def test_unusable_arguments_are_refused(arguments: dict[str, Any], named: str) -> None:
    """With a text that names them."""
    given = {"url": "https://hub.example", "token": "t", **arguments}
    with pytest.raises(ValueError, match=named):
        SyncGuard(**given)


@pytest.mark.parametrize(
    "environ",
    [
        {"HUB_JWT_SECRET": SECRET},
        {"HUB_JWT_SECRET": SECRET, "HUB_JWT_SECRET_PREVIOUS": SECRET + "!", "HUB_JWT_LEEWAY": "5"},
        {
            "HUB_JWT_SECRET": SECRET * 2,
            "HUB_JWT_ALGORITHMS": "HS512,HS256",
            "HUB_JWT_AUDIENCE": "a",
        },
        {"HUB_JWT_ISSUER": "https://login.example", "HUB_JWT_AUDIENCE": "app"},
        {"HUB_JWT_JWKS_URL": "https://l.example/keys", "HUB_JWT_AUDIENCE": "*"},
        {"HUB_JWT_SECRET": SECRET, "HUB_TOKEN_MAX_LIFETIME": "600", "HUB_JWT_ISSUER": "me"},
    ],
)
def test_a_guard_reads_the_issuers_as_its_hub_does(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same variables make the same entries."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert read_environ({**REQUIRED, **environ})["issuers"] == load_entries(load_settings())


def test_a_guard_reads_the_file_of_issuers(tmp_path: Path) -> None:
    """As its hub does; a user's issuer has to be named then."""
    path = tmp_path / "issuers.toml"
    path.write_text(FILE)
    guard = SyncGuard.from_environ(
        {**REQUIRED, "HUB_ISSUERS": str(path)}, start_timeout=0.0, on_stale="allow"
    )
    entries = read_environ({**REQUIRED, "HUB_ISSUERS": str(path)})["issuers"]
    assert [entry.keys.kind for entry in entries] == [Source.DISCOVERY, Source.SECRET]
    with pytest.raises(InvalidRequest, match="several issuers"):
        guard.check_session("ada", "s1", 1.0)
    ticket = guard.mint_ticket("ada", "s1")
    with pytest.raises(TokenInvalid):
        guard.check(ticket[:-5] + "AAAAA")
    guard.close()


def test_the_environment_names_everything_else() -> None:
    """The addresses, the tokens and what to do when stale."""
    found = read_environ(
        {
            **REQUIRED,
            "HUB_GUARD_MAX_STALENESS": "3.5",
            "HUB_GUARD_ON_STALE": "refuse",
            "HUB_ADMIN_TOKEN": "an admin token",
            "HUB_JWT_SECRET": SECRET,
            "HUB_REDIS_URL": "of the hub",
        }
    )
    assert found.pop("issuers")
    assert found == {
        "url": ("https://a.example", "https://b.example/base/"),
        "token": "t",
        "secret": SECRET,
        "admin_token": "an admin token",
        "on_stale": "refuse",
        "max_staleness": 3.5,
    }
    assert read_environ(REQUIRED)["issuers"] == ()


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"HUB_URL": ""}, "HUB_URL"),
        ({"HUB_GUARD_TOKEN": ""}, "HUB_GUARD_TOKEN"),
        ({"HUB_GUARD_ON_STALE": "panic"}, "HUB_GUARD_ON_STALE"),
        ({"HUB_GUARD_MAX_STALENESS": "long"}, "HUB_GUARD_MAX_STALENESS"),
        ({"HUB_ISSUERS": "/nowhere"}, "HUB_ISSUERS: /nowhere"),
        ({"HUB_JWT_PUBLIC_KEY": "/nowhere"}, "HUB_JWT_PUBLIC_KEY"),
        ({"HUB_JWT_ISSUER": "https://login.example"}, "HUB_JWT_AUDIENCE"),
        ({"HUB_JWT_SECRET": SECRET, "HUB_JWT_ALGORITHMS": "RS256"}, "HUB_JWT_ALGORITHMS"),
    ],
)
def test_a_mistake_in_the_environment_is_named(environ: dict[str, str], named: str) -> None:
    """In one line, without a secret."""
    with pytest.raises(ValueError, match=named) as caught:
        read_environ({**REQUIRED, **environ})
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_variable_is_described() -> None:
    """And those that the hub has too have its names."""
    own = {"HUB_URL", "HUB_GUARD_TOKEN", "HUB_GUARD_MAX_STALENESS", "HUB_GUARD_ON_STALE"}
    hubs = {f"HUB_{name.upper()}" for name in Settings.model_fields}
    assert set(VARIABLES) - own <= hubs


def test_secrets_are_not_shown() -> None:
    """By no text of a guard."""
    guard = SyncGuard("https://hub.example", token="sesame", secret=SECRET, admin_token="admin!")
    for text in (repr(guard), repr(guard._core.options), str(vars(guard))):
        assert not {"sesame", SECRET, "admin!"} & set(text.split("'"))
