"""From a signal to cleared tabs: two browsers, two replicas on one Redis, and the receipt."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from hub.settings import Settings
from tests.e2e.people import PythonClient, python_client
from tests.e2e.shop import COOKIE, EVERYTHING, KEPT, NOTHING, Shop, Tab, visit
from tests.patience import PATIENCE
from tests.signals_site import LOGOUT_AUDIENCE, access_token, issuer_settings, send_logout
from tests.signals_table import ISSUER, Sender
from tests.site import ADMIN, Replica, running
from tests.ssf_transmitter import PUSH, SESSION_REVOKED, Stream, Transmitter

pytestmark = pytest.mark.asyncio(loop_scope="session")

SENDER = Sender()
HEADER = "Bearer the stream's own secret"
TITLE = 'title = "your company\'s sign-in"\n'
TRANSMITTER = """[[transmitter]]
iss = "{iss}"
aud = "{aud}"
issuer = "{issuer}"
delivery = "push"
authorization = "{header}"
title = "your company's device manager"

[transmitter.events.session-revoked]
ends = "session"
reason = "policy"
profile = "lost"
"""
ENDED, SIBLING, STRANGER = "ada-1", "ada-2", "grace-3"
"""The sessions: Ada's in the browser of the signals, her other one, and Grace's."""


@dataclass
class Scene:
    """Ada's session has a tab at each replica, in a browser each, and an app at the second."""

    replicas: tuple[Replica, Replica]
    transmitter: Transmitter
    tabs: tuple[Tab, Tab]
    app: PythonClient
    sibling: Tab
    stranger: Tab

    async def receipt(self) -> dict[str, Any]:
        """Return the receipt of whatever ended Ada's session, once it is complete."""
        dead = access_token(SENDER, "ada", ENDED)
        refusals = [await hub.call("GET", "/session", dead) for hub in self.replicas]
        assert {refusal.code for refusal in refusals} == {"token_revoked"}
        (logout_id,) = {refusal.body["id"] for refusal in refusals}
        address = f"/logouts/{logout_id}?wait=10"
        receipt: dict[str, Any] = (await self.replicas[0].call("GET", address, ADMIN)).body
        assert receipt["complete"]
        return receipt

    async def others_live(self) -> None:
        """Check that Ada's other session and Grace's were not notified and lost nothing."""
        for tab, sid in ((self.sibling, SIBLING), (self.stranger, STRANGER)):
            rows = await tab.page.evaluate("window.hub.sessions()")
            online = [row["sid"] for row in rows if row["current"] and row["online"]]
            assert online == [sid]
            assert tab.diary.all("logout") == []
            assert await tab.stored() == EVERYTHING


@contextlib.asynccontextmanager
async def signal_settings(
    folder: Path, shop: Shop, transmitter: Transmitter, **changes: Any
) -> AsyncIterator[Settings]:
    """Yield the settings of a hub of the shop that listens to an issuer and to a transmitter."""
    table = TRANSMITTER.format(
        iss=transmitter.iss, aud=transmitter.aud, issuer=ISSUER, header=HEADER
    )
    given = {"allowed_origins": [shop.url], "cookie_name": COOKIE, "notice_grace": 8}
    async with issuer_settings(
        folder, SENDER, LOGOUT_AUDIENCE + TITLE, table, **given, **changes
    ) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def scene(
    browser: Browser, shop: Shop, redis_url: str, tmp_path: Path
) -> AsyncIterator[Scene]:
    """Everybody is logged in."""
    shop.sign = lambda user, sid, _: access_token(SENDER, user, sid)
    transmitter = Transmitter()
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(transmitter.serve())
        given = await enter(signal_settings(tmp_path, shop, transmitter, redis_url=redis_url))
        one, two = [
            await enter(running(given.model_copy(update={"replica": name})))
            for name in ("one", "two")
        ]
        ada, again, elsewhere, grace = [
            await visit(await enter(await browser.new_context()), shop) for _ in range(4)
        ]
        for visitor, name in ((ada, "ada"), (elsewhere, "ada"), (grace, "grace")):
            await visitor.log_in(name)
        await again.context.add_cookies(await ada.context.cookies())  # type: ignore[arg-type]
        shop.hub = one.url
        first, stranger = await ada.tab("/private?explain"), await grace.tab()
        shop.hub = two.url
        second, sibling = await again.tab(), await elsewhere.tab()
        app = await enter(python_client(two, access_token(SENDER, "ada", ENDED)))
        await app.diary.wait("connect")
        yield Scene((one, two), transmitter, (first, second), app, sibling, stranger)


async def test_a_logout_token_clears_the_tabs_of_its_session(scene: Scene) -> None:
    """At both replicas, and the page that explains it names the company's sign-in."""
    one, _ = scene.replicas
    first, second = scene.tabs
    assert (await send_logout(one, SENDER, sub="ada", sid=ENDED)).status == 200
    explained = f"{one.url}/signed-out?reason=identity_provider&by=*"
    await first.page.wait_for_url(explained, timeout=PATIENCE * 1000)
    await expect(first.page.get_by_role("main")).to_contain_text("your company's sign-in")
    await second.reach_login("identity_provider")
    notice = await scene.app.diary.wait("notified")
    await scene.app.diary.wait("disconnect")
    assert (notice["reason"], notice["by"]) == ("identity_provider", ISSUER)
    assert (notice["scope"], notice["sid"]) == ("session", ENDED)
    await first.go("/login")
    assert [await tab.stored() for tab in scene.tabs] == [KEPT, KEPT]

    receipt = await scene.receipt()
    assert [(row["sid"], row["state"]) for row in receipt["sessions"]] == [(ENDED, "acknowledged")]
    assert receipt["origin"]["by"] == ISSUER
    assert receipt["origin"]["event"] == "backchannel-logout"
    await scene.others_live()


async def test_a_revoked_session_is_cleared_as_the_settings_say(scene: Scene) -> None:
    """Pushed to the other replica: ``lost`` spares nothing, and the person reads the reason."""
    _, two = scene.replicas
    stream = Stream(
        "s", {"method": PUSH, "endpoint_url": f"{two.url}/events", "authorization_header": HEADER},
        [],
    )  # fmt: skip
    scene.transmitter.streams["s"] = stream
    # Milliseconds, which every rounding on the way to the receipt keeps.
    happened = round(time.time(), 3)
    said = {
        "event_timestamp": happened,
        "initiating_entity": "policy",
        "reason_user": {"en": "Your laptop was reported lost"},
        "reason_admin": {"en": "Report 4711"},
    }
    about = {
        "format": "complex",
        "user": {"format": "iss_sub", "iss": ISSUER, "sub": "ada"},
        "session": {"format": "opaque", "id": ENDED},
    }
    await scene.transmitter.emit(SESSION_REVOKED, said, sub_id=about)
    assert await scene.transmitter.push(stream) == [202]
    first, second = scene.tabs
    explained = f"{scene.replicas[0].url}/signed-out?reason=policy&by=*"
    await first.page.wait_for_url(explained, timeout=PATIENCE * 1000)
    assert (await first.diary.wait("logout"))["words"] == "policy: Your laptop was reported lost"
    await second.reach_login("policy: Your laptop was reported lost")
    notice = await scene.app.diary.wait("notified")
    await scene.app.diary.wait("disconnect")
    assert (notice["by"], notice["profile"]) == (scene.transmitter.iss, "lost")
    await first.go("/login")
    assert [await tab.stored() for tab in scene.tabs] == [NOTHING, NOTHING]

    receipt = await scene.receipt()
    assert [(row["sid"], row["state"]) for row in receipt["sessions"]] == [(ENDED, "acknowledged")]
    assert receipt["origin"] == {
        "by": scene.transmitter.iss,
        "event": "session-revoked",
        "event_timestamp": happened,
        "initiating_entity": "policy",
        "reason_admin": "Report 4711",
    }
    await scene.others_live()
