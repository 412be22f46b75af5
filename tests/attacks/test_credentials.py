"""Administrators' credentials used beyond their scope. The bound: nothing more is allowed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
from click.testing import CliRunner

from hub.access.administrators import Administrator, Administrators
from hub.access.minting import make_credential
from hub.cli import main
from hub.core.rate import Rate
from hub.core.rights import EVERY_RIGHT, Right, read_credential
from tests.site import ADMIN, Replica, running, settings, token

MADE = {right: make_credential(f"only-{right}", [right]) for right in Right}
ONE, MANY = {"user": "ada", "reason": "admin"}, {"users": ["ada"], "reason": "admin"}
EVERYONE = {"everyone": True, "reason": "admin"}
SESSIONS = "/admin/users/ada/sessions"


@pytest.fixture
async def hub() -> AsyncIterator[Replica]:
    """A hub with a credential for each scope."""
    entries = tuple(entry for _, entry in MADE.values())
    async with running(settings(admin_tokens=entries)) as replica:
        yield replica


def logouts(lines: list[Any]) -> list[str]:
    """Return who requested each logout, according to the log."""
    return [line["by"] for line in lines if line["event"] == "logout"]


@pytest.mark.parametrize("right", Right)
async def test_a_credential_does_what_its_scope_says_and_nothing_else(
    hub: Replica, right: Right
) -> None:
    """A stolen credential does only what its scope allows."""
    secret, _ = MADE[right]
    told = await hub.call("POST", "/admin/logout", secret, json=ONE)
    assert told.status == (200 if right is Right.LOGOUT else 403)
    assert (await hub.call("GET", SESSIONS, secret)).status == (200 if right is Right.READ else 403)
    receipt = (await hub.call("POST", "/admin/logout", ADMIN, json=ONE)).body["id"]
    may = right in (Right.READ, Right.LOGOUT)
    assert (await hub.call("GET", f"/logouts/{receipt}", secret)).status == (200 if may else 403)


@pytest.mark.parametrize("right", Right)
async def test_a_credential_is_no_session(hub: Replica, right: Right) -> None:
    """It is no login, and its SHA-256, which is in the settings, is no credential."""
    secret, entry = MADE[right]
    assert (await hub.call("GET", "/verify", secret)).status == 401
    for text in (entry, entry.split(":")[1], f"only-{right}", secret[:-1], secret + "x"):
        assert (await hub.call("GET", SESSIONS, text)).status == 401


async def test_support_ends_one_user_at_a_time(hub: Replica) -> None:
    """A token with hub:support ends the sessions of one user, not of several or everyone."""
    helper = token("eve", scope="hub:support")
    await hub.call("GET", "/session", token("ada", sid="phone"))
    listed = await hub.call("GET", SESSIONS, helper)
    assert [session["sid"] for session in listed.body["sessions"]] == ["phone"]
    for body in (MANY, EVERYONE):
        answer = await hub.call("POST", "/admin/logout", helper, json=body)
        assert (answer.status, answer.code) == (403, "forbidden")
    receipt = (await hub.call("POST", "/admin/logout", ADMIN, json=EVERYONE)).body["id"]
    later = token("eve", scope="hub:support", sid="later")
    assert (await hub.call("GET", f"/logouts/{receipt}", later)).status in (401, 404)


async def test_support_that_was_logged_out_helps_nobody(hub: Replica) -> None:
    """A token with hub:support is refused once its session was ended."""
    helper = token("eve", scope="hub:support")
    assert (await hub.call("POST", "/admin/logout", helper, json=ONE)).status == 200
    await hub.call("POST", "/logout", helper)
    assert (await hub.call("POST", "/admin/logout", helper, json=ONE)).code == "token_revoked"


async def test_the_log_names_who_asked(hub: Replica) -> None:
    """The log names the administrator who requested a logout, and contains no token."""
    with structlog.testing.capture_logs() as lines:
        for secret in (ADMIN, MADE[Right.LOGOUT][0], token("root", scope="hub:admin")):
            await hub.call("POST", "/admin/logout", secret, json=ONE)
    first, second, third = logouts(lines)
    assert (first, second) == ("admin", "only-logout")
    assert third.startswith("token:")
    assert "root" in third
    assert MADE[Right.LOGOUT][0] not in str(lines)


async def test_one_credential_that_runs_wild_stops_no_other() -> None:
    """Each credential has a limit of its own."""
    secret, entry = make_credential("wild", [Right.READ])
    changes = {"admin_tokens": (entry,), "limit_admin": Rate(0.01, 3)}
    async with running(settings(**changes)) as hub:
        statuses = [(await hub.call("GET", SESSIONS, secret)).status for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        assert (await hub.call("GET", SESSIONS, ADMIN)).status == 200


def test_every_credential_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A match does not end the comparison early, since the time would tell which one matched."""
    compared: list[bytes] = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append(left)
        return left == right

    monkeypatch.setattr("hub.access.administrators.hmac.compare_digest", compare)
    who = Administrators([read_credential(entry) for _, entry in MADE.values()], ADMIN)
    found = who.find(MADE[Right.LOGOUT][0])
    assert found is not None
    assert found.name == "only-logout"
    assert len(compared) == len(MADE) + 1
    assert who.find("nobody's\udcff") is None


def test_a_call_that_names_no_scope_takes_all() -> None:
    """A route without a declared scope needs every scope."""
    who = Administrators([read_credential(MADE[Right.READ][1])], ADMIN)
    reader, chief = who.find(MADE[Right.READ][0]), who.find(ADMIN)
    assert reader is not None
    assert chief is not None
    assert not reader.may()
    assert chief.may()
    assert chief.rights == EVERY_RIGHT


def test_a_made_credential_is_one_that_settings_take() -> None:
    """The command prints a token, and a setting with its SHA-256 but not the token."""
    made = CliRunner().invoke(main, ["admin-token", "ops", "--scope", "read", "--json"])
    assert made.exit_code == 0
    told = json.loads(made.stdout)
    credential = read_credential(told["entry"])
    assert told["token"] not in told["entry"]
    found = Administrators([credential], None).find(told["token"])
    assert found == Administrator("ops", frozenset({Right.READ}))


@pytest.mark.parametrize("name", ["admin", "user", "loss", "a b", "a:b", "", "x" * 65])
def test_a_name_that_the_log_gives_to_others_is_refused(name: str) -> None:
    """A credential cannot have a name that the log uses for users, losses or HUB_ADMIN_TOKEN."""
    assert CliRunner().invoke(main, ["admin-token", name]).exit_code == 2
