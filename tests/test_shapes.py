"""Every identity provider's tokens work as they are, and a logout ends what it says.

For each shape of token: it is accepted, the session keeps its id through a refresh where the issuer
names the login, and `all`, `session` and `others` end what they should and spare the rest, at
``/verify``, over HTTP and over a socket, also for the next token that a refresh brings.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hub.access.issuers import Issuers
from hub.core.issuers import Entry
from hub.core.issuers_document import read_entries
from hub.core.model import Identity
from hub.core.presets import PRESETS
from tests.realtime.raw import raw_socket
from tests.shapes import SHAPES, claims_at, issue, issuers_file, sign
from tests.shapes_table import PAGE, render
from tests.site import Replica, running, settings

Shape = dict[str, Any]
by_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape["name"]))


def entry_of(shape: Shape) -> Entry:
    """Return the issuer entry of a shape."""
    (entry,) = read_entries(issuers_file(shape), max_lifetime=86400, leeway=0)
    return entry


async def identity_of(shape: Shape, which: str) -> Identity:
    """Return who a token of the shape speaks for."""
    return await Issuers([entry_of(shape)]).verify(sign(shape, claims_at(shape[which], 1.7e9)))


def test_there_are_enough_shapes() -> None:
    """Thirty-one were measured once; every preset has at least one."""
    assert len(SHAPES) >= 31
    assert set(PRESETS) <= {shape["preset"] for shape in SHAPES}


@by_shape
async def test_a_shape_is_accepted_and_keeps_its_session(shape: Shape) -> None:
    """The session and its login are found where the shape has them, and are other at a login."""
    first, refreshed = [await identity_of(shape, which) for which in ("login", "refreshed")]
    again = await identity_of(shape, "again")
    assert first.user == refreshed.user == again.user
    assert (first.sid == refreshed.sid) is shape["stable"]
    assert first.per_token is refreshed.per_token is not shape["stable"]
    assert again.sid not in (first.sid, refreshed.sid)
    assert (first.login_at is not None) is shape["login_time"]
    if first.login_at is not None:
        assert refreshed.login_at is not None
        assert again.login_at is not None
        assert first.login_at == refreshed.login_at < again.login_at


@dataclass
class People:
    """One person with two devices, at a hub that knows the issuer.

    Both logged in ten minutes ago, the second device a minute later, and have just refreshed.
    """

    shape: Shape
    hub: Replica
    now: float = field(default_factory=lambda: float(math.floor(time.time())))

    def token(self, device: str) -> str:
        """Return a device's token from before any logout."""
        login, at = (600, 30) if device == FIRST else (540, 20)
        return sign(self.shape, issue(self.shape, device, self.now - login, self.now - at))

    def next_token(self, device: str) -> str:
        """Return what a silent refresh brings in the second after this one."""
        login = self.now - (600 if device == FIRST else 540)
        return sign(self.shape, issue(self.shape, device, login, math.floor(time.time()) + 1))

    def new_login(self) -> str:
        """Return the token of a login that begins in the second after this one."""
        at = math.floor(time.time()) + 1
        return sign(self.shape, issue(self.shape, "again", at, at, new="-new"))

    async def is_alive(self, token: str) -> bool:
        """Ask in all three ways whether a token lives; they agree."""
        verdicts = [(await self.hub.call("GET", path, token)).status < 300 for path in PATHS]
        async with raw_socket(self.hub) as raw:
            verdicts.append(str(await raw.connect(token)).startswith("40{"))
        assert len(set(verdicts)) == 1, verdicts
        return verdicts[0]

    @property
    def is_new_login_known(self) -> bool:
        """Whether a new login is told from one before a logout of this very moment.

        Not where an issuer dates its tokens back, and they tell no login time.
        """
        return bool(self.shape["login_time"]) or self.shape["login"]["iat"]["$time"] >= 0


PATHS = ("/verify", "/session")
FIRST, SECOND = "refreshed", "again"


@pytest.fixture
async def people(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[People]:
    """A person of the shape's issuer."""
    shape = request.param
    file = tmp_path / "issuers.toml"
    file.write_text(issuers_file(shape))
    async with running(settings(issuers=str(file), jwt_secret=None, notice_grace=0.2)) as hub:
        yield People(shape, hub)


async def show_both(people: People) -> tuple[str, str]:
    """Let both devices show themselves, and return their tokens."""
    mine, other = people.token(FIRST), people.token(SECOND)
    assert await people.is_alive(mine)
    assert await people.is_alive(other)
    return mine, other


at_a_hub = pytest.mark.parametrize(
    "people", SHAPES, ids=lambda shape: str(shape["name"]), indirect=True
)


@at_a_hub
async def test_all_ends_every_login_and_no_later_one(people: People) -> None:
    """Where a token tells its login, or its login's time, a refresh does not bring it back."""
    mine, other = await show_both(people)
    assert (await people.hub.call("POST", "/logout", mine)).status == 200
    for dead in (mine, other):
        assert not await people.is_alive(dead)
    survives = not people.shape["stable"] and not people.shape["login_time"]
    survives = survives and people.is_new_login_known
    assert await people.is_alive(people.next_token(FIRST)) is survives
    assert await people.is_alive(people.new_login()) is people.is_new_login_known


@at_a_hub
async def test_session_ends_one_login_and_spares_the_other(people: People) -> None:
    """The device that asks, with its next token where that names the same login."""
    mine, other = await show_both(people)
    body = {"scope": "session"}
    assert (await people.hub.call("POST", "/logout", mine, json=body)).status == 200
    assert not await people.is_alive(mine)
    assert await people.is_alive(people.next_token(FIRST)) is not people.shape["stable"]
    assert await people.is_alive(other)
    assert await people.is_alive(people.new_login())


@at_a_hub
async def test_others_ends_the_other_login_and_spares_this_one(people: People) -> None:
    """The device that asks stays, and where tokens name their login so does its next token."""
    mine, other = await show_both(people)
    body = {"scope": "others"}
    assert (await people.hub.call("POST", "/logout", mine, json=body)).status == 200
    assert await people.is_alive(mine)
    assert not await people.is_alive(other)
    own_next = people.shape["stable"] or (
        people.is_new_login_known and not people.shape["login_time"]
    )
    assert await people.is_alive(people.next_token(FIRST)) is own_next
    assert await people.is_alive(people.new_login()) is people.is_new_login_known


def test_the_table_in_the_documentation_is_of_these_shapes() -> None:
    """Made anew by ``python -m tests.shapes_table``."""
    assert PAGE.read_text(encoding="utf-8") == render()


def test_every_preset_has_a_section_in_the_how_to() -> None:
    """And there is none for what is no preset."""
    text = (Path(__file__).parents[1] / "docs" / "how-to" / "issuers.md").read_text()
    named = re.findall(r"^Preset `([\w-]+)`", text, re.MULTILINE)
    assert sorted(named) == sorted(PRESETS)
