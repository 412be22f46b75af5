"""A logout that met nobody, or not whom it was meant for, says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.access.minting import mint_token
from tests.site import ADMIN, SECRET, Replica, running, settings

SHOP, WIKI = "https://shop.example", "https://wiki.example"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Replica]:
    """A hub of two issuers."""
    file = tmp_path / "issuers.toml"
    entry = '[[issuer]]\niss = "{}"\nsecret = "{}"\n'
    file.write_text(entry.format(SHOP, SECRET) + entry.format(WIKI, SECRET))
    async with running(settings(issuers=str(file), jwt_secret=None)) as replica:
        yield replica


async def log_out(hub: Replica, **body: Any) -> list[str]:
    """Log out and return the warnings."""
    given = {"reason": "admin", **body}
    answer = await hub.call("POST", "/admin/logout", ADMIN, json=given)
    assert answer.status == 200
    warnings: list[str] = answer.body["warnings"]
    return warnings


async def show(hub: Replica, user: str, iss: str) -> None:
    """Let a session be known."""
    answer = await hub.call("GET", "/session", mint_token(SECRET, user, lifetime=60, issuer=iss))
    assert answer.status == 200


async def test_a_user_who_is_met_is_no_matter(hub: Replica) -> None:
    """Nor is everyone, even where nobody is."""
    await show(hub, "ada", SHOP)
    assert await log_out(hub, user="ada", iss=SHOP) == []
    assert await log_out(hub, everyone=True) == []


@pytest.mark.parametrize("more", [{}, {"sid": "s"}])
async def test_a_user_whom_nobody_knows_is_said(hub: Replica, more: dict[str, str]) -> None:
    """By name or by session: the success is not taken for one."""
    (warning,) = await log_out(hub, user="ada", iss=SHOP, **more)
    assert "no session of this user is known" in warning


async def test_a_user_who_lives_under_another_issuer_is_said(hub: Replica) -> None:
    """With how many sessions go on there."""
    await show(hub, "ada", WIKI)
    _, warning = await log_out(hub, user="ada", iss=SHOP)
    assert "ada still has sessions under the issuer https://wiki.example: 1" in warning
    warnings = await log_out(hub, user="ada", iss="https://typo.example")
    assert len(warnings) == 3
    assert "no issuer of the settings is https://typo.example" in warnings[0]


async def test_those_of_a_list_who_were_not_met_are_named(hub: Replica) -> None:
    """Not too many of them."""
    await show(hub, "ada", SHOP)
    (warning,) = await log_out(hub, users=["ada", "bob", "eve"], iss=SHOP)
    assert warning == "no session is known for 2 of 3 users: bob, eve"
    await show(hub, "ada", SHOP)
    (warning,) = await log_out(hub, users=["ada", *(f"u{n}" for n in range(99))], iss=SHOP)
    assert warning.startswith("no session is known for")
    assert len(warning) < 100
