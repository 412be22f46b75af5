"""The settings are read again (SIGHUP) while signals are under way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hub.api.events import EVENT_TYPE
from hub.api.services import SERVICES
from hub.app import RELOADS
from hub.core.issuers import Entry
from hub.settings import Settings
from tests.api.test_global_revocation import assertion
from tests.signals_site import access_token, is_alive, issuer_settings
from tests.signals_table import CLIENT, ISSUER, TWIN, Sender, event_token
from tests.site import Replica, running

SENDER = Sender()
OTHERS = "https://users.example"
TRANSMITTER = f"""[[transmitter]]
iss = "{ISSUER}"
aud = "{CLIENT}"
jwks_url = "{{jwks}}"
delivery = "push"
"""


def changing(given: Settings) -> Callable[[str], None]:
    """Return what changes where the keys are, and the title of the transmitter."""
    file = Path(given.issuers or "")
    text = file.read_text()

    def change(title: str) -> None:
        file.write_text(text.replace("/jwks", f"/jwks?{title}") + f'title = "{title}"\n')

    return change


def on_clock(hub: Replica, monkeypatch: pytest.MonkeyPatch, changed: Sequence[Entry]) -> None:
    """Replace the issuers just when a signal that was verified asks for the time."""
    services, clock = hub.app[SERVICES], hub.app[SERVICES].signals.now

    async def now() -> int:
        await services.issuers.replace(changed)
        return await clock()

    monkeypatch.setattr(services.signals, "now", now)


async def test_of_two_reloads_at_once_the_newer_file_holds_in_whole(tmp_path: Path) -> None:
    """The earlier one does not come back to put its own transmitters beside the newer issuers."""
    async with (
        issuer_settings(tmp_path, SENDER, "", TRANSMITTER) as given,
        running(given) as hub,
    ):
        assert await is_alive(hub, access_token(SENDER)), "a connection is open, and takes closing"
        change, reload = changing(given), hub.app[RELOADS][0]
        change("old")
        older = asyncio.ensure_future(reload())
        await asyncio.sleep(0)
        change("new")
        await asyncio.gather(older, reload())
        assert hub.app[SERVICES].transmitters.titles(None) == {"new"}


async def test_an_event_whose_issuer_just_went_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Success would say that it is done, and nobody's sessions were ended."""
    async with (
        issuer_settings(tmp_path, SENDER, "", TRANSMITTER) as given,
        running(given) as hub,
    ):
        on_clock(hub, monkeypatch, [])
        answer = await hub.call(
            "POST",
            "/events",
            data=event_token(TWIN, SENDER, time.time()).encode(),
            headers={"Content-Type": EVENT_TYPE},
        )
        assert answer.status == 503
        assert answer.headers["Retry-After"]


async def test_a_revocation_of_users_who_just_went_ends_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user of the same name at the entry that asks is somebody else."""
    hub_url = "https://hub.test/global-token-revocation"
    members = f'revocation_audience = "{hub_url}"\nrevocation_users = "{OTHERS}"\n'
    more = f'[[issuer]]\niss = "{OTHERS}"\njwks_url = "{{jwks}}"\naudience = "api"\n'
    async with issuer_settings(tmp_path, SENDER, members, more) as given, running(given) as hub:
        namesake = access_token(SENDER, "ada")
        assert await is_alive(hub, namesake)
        on_clock(hub, monkeypatch, hub.app[SERVICES].issuers.entries[:1])
        body = {"sub_id": {"format": "opaque", "id": "ada"}}
        answer = await hub.call(
            "POST", "/global-token-revocation", assertion(SENDER, aud=hub_url), json=body
        )
        assert answer.status == 503
        assert await is_alive(hub, namesake)
