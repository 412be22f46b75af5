"""What the page on logout at identity providers says to enter does what the provider needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from hub.core.global_revocation import read_assertion
from hub.core.issuers import Entry
from hub.core.issuers_document import read_entries
from hub.core.logout_tokens import LOGOUT_EVENT, read_logout_token
from hub.core.model import SECOND, user_key
from hub.core.presets import PRESETS
from hub.core.refusal import SignalRefused
from hub.core.signal import Target
from hub.core.subjects import read_subject, resolve_for

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "how-to" / "identity-provider-logout.md").read_text("utf-8")
_, *PARTS = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)
SECTIONS = dict(zip(PARTS[::2], PARTS[1::2], strict=True))

PROVIDERS = {
    "Keycloak", "Auth0", "Okta", "Entra ID", "Google", "Apple", "authentik", "Ory Hydra",
    "Zitadel", "oidc-provider", "Better Auth", "Duende IdentityServer", "OpenIddict",
    "LemonLDAP::NG",
}  # fmt: skip

NOW = 1_800_000_000
NO_EXP: dict[str, Any] = {"exp": None}
SID_ONLY: dict[str, Any] = {"sub": None, "exp": None}

SENT: dict[str, dict[str, Any]] = {
    "In three steps": {},
    "Keycloak": {"exp": NOW + 120, "events": {LOGOUT_EVENT: {"revoke_offline_access": True}}},
    "Auth0": {},
    "authentik": {},
    "Ory Hydra": SID_ONLY,
    "Zitadel": {"exp": NOW + 900},
    "oidc-provider": {},
    "Better Auth": {},
    "Duende IdentityServer": {},
    "LemonLDAP::NG": NO_EXP,
}
"""How a provider's logout tokens differ from the usual ones; None leaves a claim out."""


def read(section: str) -> tuple[Entry, ...]:
    """Return the entries of a section's one table."""
    (text,) = re.findall(r"^```toml\n(.*?)^```", SECTIONS[section], re.DOTALL | re.MULTILINE)
    return read_entries(text, max_lifetime=86_400, leeway=0)


def claims_of(section: str, entry: Entry, **changes: Any) -> dict[str, Any]:
    """Return the claims of a logout token as the section's provider sends it."""
    audience = list(entry.logout.audience)
    given = {
        "iss": entry.rules.issuer, "aud": audience if section == "Ory Hydra" else audience[0],
        "iat": NOW, "exp": NOW + 60, "jti": "j-1", "sub": "ada", "sid": "s-1",
        "events": {LOGOUT_EVENT: {}},
    } | SENT[section] | changes  # fmt: skip
    return {name: value for name, value in given.items() if value is not None}


def test_every_provider_has_a_section() -> None:
    """And each section is of a provider, besides the first and the last."""
    first, *named, last = SECTIONS
    assert set(named) == PROVIDERS
    assert (first, last) == ("In three steps", "What commonly goes wrong")


def test_every_table_of_the_page_is_of_a_section_that_a_test_knows() -> None:
    """None is left out of the tests below."""
    with_table = {name for name, text in SECTIONS.items() if "```toml" in text}
    assert with_table == {*SENT, "Okta"}


@pytest.mark.parametrize("section", [*SENT, "Okta"])
def test_a_section_names_the_preset_of_its_provider(section: str) -> None:
    """By the name that the preset itself gives to it; some providers have none."""
    titles = {preset.title: name for name, preset in PRESETS.items()}
    assert {entry.preset for entry in read(section)} == {titles.get(section)}


@pytest.mark.parametrize("section", SENT)
def test_a_logout_token_ends_the_session_that_it_names(section: str) -> None:
    """As the provider sends it, with the entry as the page has it."""
    (entry,) = read(section)
    signal = read_logout_token(claims_of(section, entry), entry, NOW * SECOND)
    iss = entry.rules.issuer or ""
    user = None if SENT[section] is SID_ONLY else user_key(iss, "ada")
    assert signal.target == Target(iss=iss, user=user, sid="s-1")


@pytest.mark.parametrize("section", SENT)
def test_a_logout_token_for_somebody_else_is_refused(section: str) -> None:
    """The audience is that of the client."""
    (entry,) = read(section)
    with pytest.raises(SignalRefused, match="audience"):
        read_logout_token(claims_of(section, entry, aud="another"), entry, NOW * SECOND)


@pytest.mark.parametrize("section", SENT)
def test_a_token_without_exp_is_accepted_only_where_the_provider_sends_such(section: str) -> None:
    """Elsewhere it is refused."""
    (entry,) = read(section)
    assert entry.logout.require_exp is (SENT[section].get("exp", NOW) is not None)


def test_oktas_universal_logout_names_users_of_the_authorization_server() -> None:
    """By Okta's immutable id, which is the user claim of the preset."""
    tokens, organization = read("Okta")
    claims = {
        "iss": organization.rules.issuer, "aud": "https://hub.example/global-token-revocation",
        "iat": NOW, "exp": NOW + 300, "jti": "u-1", "sub": "0oa1",
    }  # fmt: skip
    caller = read_assertion(claims, organization, NOW * SECOND)
    subject = read_subject({"format": "iss_sub", "iss": caller.iss, "sub": "00u1"})
    iss = organization.revocation.users or ""
    assert iss == tokens.rules.issuer
    target = resolve_for(subject, tokens, own=(caller.iss,))
    assert target == Target(iss=iss, user=user_key(iss, "00u1"))


def test_the_refusals_that_the_page_explains_are_the_hubs() -> None:
    """Each text in its table is one that the source has."""
    rows = re.findall(r"^\| (`.+?) \|", SECTIONS["What commonly goes wrong"], re.MULTILINE)
    told = [text.removesuffix(" …") for row in rows for text in re.findall(r"`([^`]+)`", row)]
    source = "\n".join(file.read_text("utf-8") for file in (ROOT / "hub").glob("**/*.py"))
    assert len(told) > 5
    assert [text for text in told if text not in source] == []
