"""Issuer entries: a TOML file in, entries or one line out; and which entry is meant."""

from __future__ import annotations

import pytest

from hub.core.issuers import (
    ASYMMETRIC,
    Entry,
    IssuersError,
    LogoutRules,
    Source,
    resolve_issuer,
)
from hub.core.issuers_document import read_entries
from hub.core.model import SECOND
from hub.core.presets import PRESETS
from hub.errors import InvalidRequest

SECRET = "a secret for tests that is long enough"


def read(text: str) -> tuple[Entry, ...]:
    """Return the entries of a file."""
    return read_entries(text, max_lifetime=86400, leeway=2)


def refused(text: str) -> str:
    """Return the one line that stops the start with this file; it holds no secret."""
    with pytest.raises(IssuersError) as caught:
        read(text)
    line = str(caught.value)
    assert "\n" not in line
    assert SECRET not in line
    return line


def issuer(*lines: str) -> str:
    """Return a file with one issuer, with these lines more than its name and audience."""
    return "\n".join(('[[issuer]]\niss = "https://id.example"\naudience = "app"', *lines))


def test_an_issuer_and_an_audience_are_enough() -> None:
    """Keys are discovered, claims have the usual names, and the rest is as in the settings."""
    (entry,) = read(issuer())
    assert (entry.keys.kind, entry.keys.values) == (Source.DISCOVERY, ("https://id.example",))
    rules = entry.rules
    assert (rules.issuer, rules.audience) == ("https://id.example", ("app",))
    assert rules.algorithms == ASYMMETRIC
    assert (rules.max_lifetime, rules.leeway) == (86400 * SECOND, 2 * SECOND)
    assert rules.session == ("sid", "session_id", "origin_jti", "auth_time")


def test_every_member_is_read() -> None:
    """A text is as good as a list of one where there may be several."""
    (entry,) = read(
        issuer(
            'aliases = ["https://login.example"]',
            'jwks_url = "https://keys.example/jwks.json"',
            'algorithms = ["ES256", "EdDSA"]',
            'audience_claims = ["aud", "client_id"]',
            'user = "uid"',
            'session = ["ext.sid", "https://app.example/sid"]',
            'login_time = "amr.0.timestamp"',
            "max_lifetime = 600",
            "leeway = 0.5",
        )
    )
    rules = entry.rules
    assert entry.keys.values == ("https://keys.example/jwks.json",)
    assert rules.aliases == ("https://login.example",)
    assert rules.algorithms == ("ES256", "EdDSA")
    assert rules.audience_claims == ("aud", "client_id")
    assert (rules.user, rules.login_time) == (("uid",), ("amr.0.timestamp",))
    assert rules.session == ("ext.sid", "https://app.example/sid")
    assert (rules.max_lifetime, rules.leeway) == (600 * SECOND, SECOND // 2)
    assert rules.lifetime_setting == "max_lifetime"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_defaults_and_no_more(name: str) -> None:
    """What stands in the file goes before what is usual at a provider."""
    preset = PRESETS[name]
    key = f'secret = "{SECRET}"' if preset.uses_secret else ""
    (entry,) = read(issuer(f'preset = "{name}"', key))
    assert entry.rules.user == preset.user
    assert entry.rules.session == preset.session
    assert entry.rules.login_time == preset.login_time
    (own,) = read(issuer(f'preset = "{name}"', key, 'user = "uid"', 'session = "s"'))
    assert (own.rules.user, own.rules.session) == (("uid",), ("s",))
    assert own.rules.login_time == preset.login_time


def test_logout_tokens_have_members_of_their_own() -> None:
    """Without the id of a client they are off, whatever the audience of access tokens is."""
    (off,) = read(issuer())
    assert off.logout == LogoutRules(audience=(), user=None, require_exp=True)
    (entry,) = read(
        issuer(
            'logout_audience = "shop-web"',
            'logout_user = "uid"',
            "require_exp = false",
            'title = "your company’s sign-in"',
        )
    )
    assert entry.logout == LogoutRules(("shop-web",), "uid", require_exp=False)
    assert entry.title == "your company’s sign-in"


def test_a_preset_knows_whether_logout_tokens_expire() -> None:
    """Hydra's do not; an entry that says otherwise is right."""
    (hydra,) = read(issuer('preset = "hydra"'))
    assert not hydra.logout.require_exp
    (own,) = read(issuer('preset = "hydra"', "require_exp = true"))
    assert own.logout.require_exp


def test_a_secret_does_not_show() -> None:
    """Neither the entry nor its keys print it."""
    (entry,) = read(issuer(f'secret = "{SECRET}"'))
    assert SECRET not in f"{entry!r} {entry.keys!r} {entry.keys}"
    assert entry.rules.algorithms == ("HS256",)


def test_several_secrets_stand_side_by_side_while_one_replaces_another() -> None:
    """The first one signs anew, and the others still verify."""
    (entry,) = read(issuer(f'secret = ["{SECRET}", "{SECRET[::-1]}"]'))
    assert entry.keys.values == (SECRET, SECRET[::-1])


def test_a_key_set_and_a_secret_may_be_of_one_issuer() -> None:
    """As while an issuer goes over from one to the other: the users are the same."""
    first, second = read(issuer() + "\n" + issuer(f'secret = "{SECRET}"'))
    assert first.rules.issuer == second.rules.issuer
    assert set(first.rules.algorithms).isdisjoint(second.rules.algorithms)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["[[issuer]]"]),
        ("[issuer]\niss = 'x'", ["[[issuer]]"]),
        ("issuer = 5", ["[[issuer]]"]),
        ("[[issuer", ["TOML"]),
        ("[[issuers]]", ["issuers is unknown"]),
        ("[[webhook]]", ["webhook is planned"]),
        ("[[issuer]]\naudience = 'x'", ["issuer 1: iss"]),
        (issuer("isss = 1"), ["issuer 1 (https://id.example)", "isss"]),
        (issuer("user = 5"), ["user"]),
        (issuer("aliases = 'x'"), ["aliases"]),
        (issuer('preset = "keyclock"'), ["preset", "keyclock", "keycloak"]),
        (issuer('jwks_url = "http://keys.example/"'), ["jwks_url", "https"]),
        (issuer('jwks_url = "ftp://keys.example/"'), ["jwks_url", "https"]),
        (issuer(f'secret = "{SECRET}"', 'jwks_url = "https://x/"'), ["jwks_url, secret"]),
        (issuer("discovery = false"), ["secret, public_key or jwks_url"]),
        (issuer('preset = "simplejwt"'), ["secret"]),
        (issuer('secret = "short"'), ["secret", "32 bytes"]),
        (issuer('secret = "-----BEGIN PUBLIC KEY-----"'), ["secret", "PEM"]),
        (issuer('public_key = "x"'), ["PEM"]),
        (issuer('algorithms = ["none"]'), ["algorithms", "none"]),
        (issuer('algorithms = ["HS256"]'), ["algorithms", "HS256 does not suit"]),
        (issuer(f'secret = "{SECRET}"', 'algorithms = ["RS256"]'), ["does not suit"]),
        (issuer("max_lifetime = 0"), ["max_lifetime"]),
        (issuer("leeway = 301"), ["leeway"]),
        (issuer('logout_audience = "*"'), ["logout_audience", "cannot be any"]),
        (issuer('title = ""'), ["title"]),
        (issuer(f'title = "{"x" * 101}"'), ["title", "100"]),
        (issuer('title = "a\\u0007"'), ["title", "controls"]),
        (issuer('require_exp = "no"'), ["require_exp"]),
        ('[[issuer]]\niss = "https://id.example"', ["audience", "required"]),
        ('[[issuer]]\niss = "http://id.example"\naudience = "x"', ["discovery", "https"]),
        (issuer() + "\n" + issuer(), ["https://id.example", "RS256"]),
        (
            issuer() + '\n[[issuer]]\niss = "https://b.example"\naudience = "x"\n'
            'aliases = ["https://id.example"]',
            ["aliases", "https://id.example"],
        ),
        ('[[issuer]]\niss = "a\\u0007"\naudience = "x"', ["iss", "controls"]),
    ],
)
def test_a_mistake_is_one_line_that_names_it(text: str, parts: list[str]) -> None:
    """The entry, by its place and name, and the member that is wrong."""
    line = refused(text)
    assert all(part in line for part in parts), line


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "id.localhost"])
def test_http_will_do_on_this_very_machine(host: str) -> None:
    """Somebody tries it with a provider on their laptop."""
    (entry,) = read(f'[[issuer]]\niss = "http://{host}:3000"\naudience = "app"')
    assert entry.keys.kind is Source.DISCOVERY


# Which entry is meant

TWO = issuer('aliases = ["https://old.example"]') + (
    '\n[[issuer]]\niss = "https://b.example"\naudience = "b"'
)


def test_with_one_issuer_none_needs_to_be_named() -> None:
    """An administrator means the one that there is."""
    entries = read(issuer('aliases = ["https://old.example"]'))
    assert resolve_issuer(entries, None) == ("https://id.example", None)
    assert resolve_issuer(entries, "https://old.example") == ("https://id.example", None)


def test_with_several_issuers_one_is_named() -> None:
    """Whom a name is of is not guessed, and the line says which there are."""
    entries = read(TWO)
    assert resolve_issuer(entries, "https://b.example") == ("https://b.example", None)
    assert resolve_issuer(entries, "https://old.example") == ("https://id.example", None)
    with pytest.raises(InvalidRequest, match=r"https://id.example, https://b.example"):
        resolve_issuer(entries, None)


def test_an_issuer_that_nobody_knows_is_warned_of() -> None:
    """It may be a typing error, and then the logout would end nothing."""
    iss, warning = resolve_issuer(read(TWO), "https://c.example")
    assert iss == "https://c.example"
    assert "https://c.example" in (warning or "")
