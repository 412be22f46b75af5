"""The hub's own pages as people meet them, in a real Chromium."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page, ViewportSize, expect

from hub.core.model import Reason
from tests.e2e.accessibility import find_violations
from tests.e2e.people import PythonClient, python_client
from tests.ports import free_port
from tests.site import ADMIN, Replica, running, settings, token

pytestmark = pytest.mark.asyncio(loop_scope="session")

COOKIE = "login"
PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
# What a device may call itself; were it markup, it would end up on the console.
NASTY = "<img src=x onerror=console.error('ran')>"


@pytest_asyncio.fixture(loop_scope="session")
async def hub() -> AsyncIterator[Replica]:
    """A hub with login by cookie, on a port that is known before, since its origin is a setting."""
    port = free_port()
    own = (f"http://127.0.0.1:{port}",)
    given = settings(port=port, allowed_origins=own, cookie_name=COOKIE, login_url="/login")
    async with running(given) as replica:
        yield replica


@contextlib.asynccontextmanager
async def visit(
    browser: Browser,
    hub: Replica,
    cookie: str | None = None,
    expected: str = "data:",
    **options: Any,
) -> AsyncIterator[Page]:
    """Open a browser, maybe logged in.

    No page may complain of anything but what is ``expected``, or ask any other host.
    """
    context = await browser.new_context(**{"viewport": PHONE, **options})
    complaints: list[str] = []
    try:
        if cookie is not None:
            given = {"name": COOKIE, "value": cookie, "url": hub.url, "httpOnly": True}
            await context.add_cookies([given])  # type: ignore[list-item]
        page = await context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url))
        yield page
        assert [
            text for text in complaints if not text.startswith((hub.url, expected, "data:"))
        ] == []
    finally:
        await context.close()


@contextlib.asynccontextmanager
async def device(hub: Replica, name: str) -> AsyncIterator[PythonClient]:
    """Log another device of Ada's in."""
    key = token("ada", name)
    async with python_client(hub, key, auth={"token": key, "device": name}) as person:
        await person.diary.wait("connect")
        yield person


async def assert_made_with_care(page: Page) -> None:
    """Let axe-core look at the page as it stands, and see that nothing is wider than the screen."""
    assert await find_violations(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


LOOKS: list[tuple[ViewportSize, Literal["light", "dark"]]] = [
    (PHONE, "light"), (PHONE, "dark"), (DESKTOP, "light"), (DESKTOP, "dark")
]  # fmt: skip


async def in_each_look(page: Page) -> AsyncIterator[None]:
    """Give a page the size of a phone and of a desktop, light and dark."""
    for size, scheme in LOOKS:
        await page.set_viewport_size(size)
        await page.emulate_media(color_scheme=scheme)
        yield


async def test_the_reason_is_readable_everywhere(browser: Browser, hub: Replica) -> None:
    """On a phone and a desktop, light and dark, each reason's page and its notes are accessible."""
    async with visit(browser, hub) as page:
        for reason in ["", *Reason]:
            await page.goto(f"{hub.url}/signed-out?reason={reason}")
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
            async for _ in in_each_look(page):
                await assert_made_with_care(page)
        for question in await page.locator("summary").all():
            await question.click()
            async for _ in in_each_look(page):
                await assert_made_with_care(page)
        await page.get_by_text("What has ended?").click()
        async for _ in in_each_look(page):
            await page.get_by_role("button", name="session").click()
            note = page.get_by_role("note")
            await expect(note).to_be_in_viewport(ratio=1)
            await assert_made_with_care(page)
            await page.keyboard.press("Escape")
            await expect(note).to_be_hidden()


async def test_the_reason_works_by_keyboard(browser: Browser, hub: Replica) -> None:
    """Questions open by Enter, an explained word by Enter too, and Escape closes its note."""
    async with visit(browser, hub) as page:
        await page.goto(f"{hub.url}/signed-out?reason=idle")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Log in")).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="session")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("note")).to_contain_text("From a login to its end")
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("note")).to_be_hidden()
        await expect(page.get_by_role("button", name="session")).to_be_focused()


async def test_the_reason_works_without_scripts(browser: Browser, hub: Replica) -> None:
    """The right text, the questions and the link into one of them need no script."""
    async with visit(browser, hub, java_script_enabled=False) as page:
        await page.goto(f"{hub.url}/signed-out?reason=user")
        await expect(page.get_by_role("heading", level=1)).to_have_text("You logged out")
        await page.get_by_role("link", name="what if it was not me?").click()
        await expect(page.get_by_text("Being logged out does no harm")).to_be_visible()


@pytest.mark.parametrize(
    ("size", "scheme"), LOOKS, ids=["phone-light", "phone-dark", "desktop-light", "desktop-dark"]
)
async def test_the_devices_are_seen_and_ended(
    browser: Browser, hub: Replica, size: ViewportSize, scheme: str
) -> None:
    """The page lists each device by its name, as text, and ends the one that is chosen."""
    mine = token("ada", "browser")
    async with (
        device(hub, NASTY) as phone,
        device(hub, "Tablet") as tablet,
        visit(browser, hub, mine, viewport=size, color_scheme=scheme) as page,
    ):
        await page.goto(f"{hub.url}/devices")
        rows = page.get_by_role("listitem")
        await expect(rows).to_have_count(3)
        await expect(rows.nth(0)).to_contain_text("This device")
        await expect(rows.filter(has_text=NASTY)).to_be_visible()
        await assert_made_with_care(page)
        await rows.filter(has_text=NASTY).get_by_role("button").click()
        await assert_made_with_care(page)
        await page.get_by_role("dialog").get_by_role("button", name="Log out").click()
        assert (await phone.diary.wait("notified"))["scope"] == "session"
        await expect(rows).to_have_count(2)
        assert tablet.diary.all("notified") == []
        await assert_made_with_care(page)


async def test_logging_out_there_leads_to_the_reason(browser: Browser, hub: Replica) -> None:
    """By keyboard alone: log out everywhere, read why; Back and Forward lead past the list."""
    async with (
        device(hub, "Tablet") as tablet,
        visit(browser, hub, token("ada", "browser")) as page,
    ):
        await page.goto(f"{hub.url}/signed-out?reason=idle")
        await page.goto(f"{hub.url}/devices")
        await expect(page.get_by_role("listitem")).to_have_count(2)
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        everywhere = page.get_by_role("dialog").get_by_role("button", name="Everywhere")
        await expect(everywhere).to_be_visible()
        await everywhere.press("Enter")
        await tablet.diary.wait("notified")
        await page.wait_for_url(f"{hub.url}/signed-out?reason=user")
        await expect(page.get_by_role("heading", level=1)).to_have_text("You logged out")
        await page.go_back()
        await page.wait_for_url(f"{hub.url}/signed-out?reason=idle")
        await page.go_forward()
        await page.wait_for_url(f"{hub.url}/signed-out?reason=user")
        await page.goto(f"{hub.url}/devices")
        await page.wait_for_url(f"{hub.url}/signed-out?reason=user")


async def test_a_logout_from_elsewhere_is_explained_as_well(browser: Browser, hub: Replica) -> None:
    """When an administrator ends the session, the open page goes to the administrator's reason."""
    async with visit(browser, hub, token("ada", "browser")) as page:
        await page.goto(f"{hub.url}/devices")
        await expect(page.get_by_role("listitem")).to_contain_text("Online now")
        body = {"user": "ada", "reason": "admin", "message": "<b>unseen</b>"}
        assert (await hub.call("POST", "/admin/logout", ADMIN, json=body)).status == 200
        await page.wait_for_url(f"{hub.url}/signed-out?reason=admin")
        await expect(page.get_by_text("unseen")).to_have_count(0)


async def test_a_logout_without_a_network_is_told_later(browser: Browser, hub: Replica) -> None:
    """Offline, the page clears and says so; when online again, it ends the other sessions."""
    async with (
        device(hub, "Tablet") as tablet,
        visit(browser, hub, token("ada", "browser"), expected="Failed to load") as page,
    ):
        await page.goto(f"{hub.url}/devices")
        await expect(page.get_by_role("listitem")).to_have_count(2)
        await page.context.set_offline(True)
        await page.get_by_role("button", name="Log out", exact=True).first.click()
        await page.get_by_role("dialog").get_by_role("button", name="Everywhere").click()
        dialog = page.get_by_role("dialog")
        # A socket that may still answer is given some seconds.
        await expect(dialog).to_contain_text("no connection now")
        await expect(page.get_by_text("Tablet")).to_be_hidden()
        assert tablet.diary.all("notified") == []
        await page.context.set_offline(False)
        assert (await tablet.diary.wait("notified"))["scope"] == "all"


async def test_who_is_not_logged_in_is_led_to_the_login(browser: Browser, hub: Replica) -> None:
    """Without a cookie the page says so, and its link leads to HUB_LOGIN_URL."""
    async with visit(browser, hub) as page:
        await page.goto(f"{hub.url}/devices")
        await expect(page.get_by_text("Nobody is logged in here")).to_be_visible()
        await assert_made_with_care(page)
        link = page.get_by_role("link", name="Log in")
        assert await link.get_attribute("href") == "/login"


async def test_without_scripts_the_devices_page_says_so(browser: Browser, hub: Replica) -> None:
    """Where scripts are off, the page says that it needs them."""
    cookie = token("ada", "browser")
    async with visit(browser, hub, cookie, java_script_enabled=False) as page:
        await page.goto(f"{hub.url}/devices")
        await expect(page.locator("noscript p")).to_be_visible()


async def test_an_origin_that_was_forgotten_is_named(browser: Browser) -> None:
    """Where the hub's own origin is not on HUB_ALLOWED_ORIGINS, the page says what to set."""
    async with (
        running(settings(cookie_name=COOKIE, allowed_origins=("https://app.example",))) as hub,
        visit(browser, hub, token("ada", "browser"), expected="logout-hub: origin_not") as page,
    ):
        await page.goto(f"{hub.url}/devices")
        alert = page.get_by_role("alert")
        await expect(alert).to_contain_text(f"{hub.url} is not on HUB_ALLOWED_ORIGINS")


async def test_no_page_can_be_framed(browser: Browser, hub: Replica) -> None:
    """Another site that frames the pages, to steal clicks, gets frames that stay empty."""
    paths = ["/devices", "/signed-out", "/healthz"]

    async def get_page(request: web.Request) -> web.Response:
        frames = "".join(f'<iframe src="{hub.url}{path}"></iframe>' for path in paths)
        return web.Response(text=frames, content_type="text/html")

    site = web.Application()
    site.router.add_get("/", get_page)
    async with TestServer(site) as server:
        page = await browser.new_page()
        await page.goto(str(server.make_url("/")))
        devices, signed_out, other = page.frames[1:]
        # What is no page of the hub's shows that frames work here at all.
        await expect(other.locator("body")).to_contain_text("ok")
        for frame in (devices, signed_out):
            await expect(frame.locator("main")).to_have_count(0)
            assert frame.url.startswith("chrome-error:")
        await page.close()


async def test_a_browser_that_speaks_german_is_answered_in_german(
    browser: Browser, hub: Replica
) -> None:
    """The page, its elements and the name of a device are in one language, also for `?lang=`."""
    async with (
        device(hub, "Firefox on Linux"),
        visit(browser, hub, token("ada", "browser"), locale="de-AT") as page,
    ):
        await page.goto(f"{hub.url}/devices")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Ihre Geräte")
        await expect(page.get_by_role("listitem").nth(1)).to_contain_text("Firefox unter Linux")
        await assert_made_with_care(page)
        await page.goto(f"{hub.url}/devices?lang=en")
        await expect(page.get_by_role("listitem").nth(1)).to_contain_text("Firefox on Linux")
        await page.goto(f"{hub.url}/signed-out?reason=idle")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Sie waren eine Weile weg")
        await assert_made_with_care(page)
