"""The demo page, as a newcomer sees it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from tests.ports import free_port
from tests.site import ADMIN, Replica, running, settings

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEVICES = ["Laptop", "Phone", "Tablet", "Work PC"]
GRACES = "Grace’s phone"


@pytest_asyncio.fixture(loop_scope="session")
async def hub() -> AsyncIterator[Replica]:
    """A hub with the demo."""
    async with running(settings(port=free_port()), demo=True) as replica:
        yield replica


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, hub: Replica) -> AsyncIterator[Page]:
    """The demo in a real Chromium; nothing may be on its console, no other host be asked."""
    complaints: list[str] = []
    page = await browser.new_page(viewport={"width": 390, "height": 844})
    try:
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url))
        await page.goto(hub.url)
        for name in [*DEVICES, GRACES]:
            await expect(device(page, name)).to_contain_text("online")
        yield page
    finally:
        await page.close()
    # Who asks in the very moment of a logout is refused, and browsers write that down.
    complaints = [text for text in complaints if "401 (Unauthorized)" not in text]
    assert [text for text in complaints if not text.startswith((hub.url, "data:"))] == []


def device(page: Page, name: str) -> Locator:
    """Return the part of the page that is a device."""
    return page.get_by_role("article", name=name, exact=True)


async def log_out(page: Page, name: str, where: str) -> None:
    """Log out on a device, as its button asks, and close what it says."""
    await device(page, name).get_by_role("button", name="Log out").click()
    await page.get_by_role("dialog").get_by_role("button", name=where).click()
    await page.get_by_role("dialog").get_by_role("button", name="Close").click()


async def test_a_reload_is_no_new_device(hub: Replica, page: Page) -> None:
    """The same sessions connect again; after a logout there are new ones."""

    async def known() -> set[str]:
        answer = await hub.call("GET", "/admin/users/ada/sessions", ADMIN)
        return {session["sid"] for session in answer.body["sessions"]}

    before = await known()
    assert len(before) == len(DEVICES)
    for _ in range(2):
        await page.reload()
        for name in [*DEVICES, GRACES]:
            await expect(device(page, name)).to_contain_text("online")
    assert await known() == before
    await log_out(page, "Phone", "Everywhere")
    await expect(device(page, "Laptop")).to_contain_text("Logged out from Phone")
    await page.reload()
    for name in DEVICES:
        await expect(device(page, name)).to_contain_text("online")
    assert len(await known() - before) == len(DEVICES)


async def test_one_logout_is_a_logout_on_every_device(page: Page) -> None:
    """Four devices hold nothing any more and say why and how fast; the fifth noticed nothing."""
    await log_out(page, "Phone", "Everywhere")
    for name in DEVICES:
        await expect(device(page, name)).to_contain_text("Logged out from Phone")
        await expect(device(page, name)).to_contain_text("0 items stored")
        await expect(device(page, name)).to_contain_text(re.compile(r"\d+ ms"))
        await expect(device(page, name).get_by_role("button", name="Log in again")).to_be_visible()
    await expect(device(page, GRACES)).to_contain_text("online")
    await expect(device(page, GRACES)).to_contain_text("0 notices")
    await expect(page.get_by_role("log")).to_contain_text("4 devices told, all clear in")


async def test_the_others_go_and_the_caller_stays(page: Page) -> None:
    """Logging out the others leaves the device that asked as it was."""
    await log_out(page, "Tablet", "The other devices")
    for name in ("Laptop", "Phone", "Work PC"):
        await expect(device(page, name)).to_contain_text("You are logged out on this device")
    await expect(device(page, "Tablet")).to_contain_text("online")
    await expect(device(page, "Tablet")).to_contain_text("2 items stored")


async def test_the_list_ends_one_device(page: Page) -> None:
    """The list beside the story is Ada's, and a device that is ended there goes dark."""
    rows = page.get_by_role("listitem").filter(has=page.get_by_role("button"))
    await expect(rows).to_have_count(len(DEVICES))
    await rows.filter(has_text="Work PC").get_by_role("button").click()
    await page.get_by_role("dialog").get_by_role("button", name="Log out").click()
    await expect(device(page, "Work PC")).to_contain_text("Logged out from Laptop")
    await expect(rows).to_have_count(len(DEVICES) - 1)
    await expect(device(page, "Phone")).to_contain_text("online")


async def test_everybody_can_log_in_again_by_keyboard(page: Page) -> None:
    """After a logout the next stop of the keyboard is the way back in, and Enter takes it."""
    await device(page, "Laptop").get_by_role("button", name="Log out").focus()
    await page.keyboard.press("Enter")
    await page.get_by_role("dialog").get_by_role("button", name="This device").press("Enter")
    close = page.get_by_role("dialog").get_by_role("button", name="Close")
    await expect(close).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    again = device(page, "Laptop").get_by_role("button", name="Log in again")
    await expect(again).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(device(page, "Laptop")).to_contain_text("online")
    await expect(device(page, "Phone")).to_contain_text("online")


async def test_this_browser_is_one_more_device(page: Page) -> None:
    """The link to Ada's devices logs this browser in by cookie, and a logout there is one here."""
    async with page.context.expect_page() as opening:
        await page.get_by_role("link", name="Ada’s devices").click()
    tab = await opening.value
    await tab.wait_for_url("**/devices")
    rows = tab.get_by_role("listitem")
    await expect(rows).to_have_count(len(DEVICES) + 1)
    await expect(rows.first).to_contain_text("This device")
    await tab.reload()
    await expect(rows).to_have_count(len(DEVICES) + 1)
    await tab.get_by_role("button", name="Log out", exact=True).click()
    await tab.get_by_role("dialog").get_by_role("button", name="Everywhere").click()
    await tab.wait_for_url("**/signed-out?reason=user")
    for name in DEVICES:
        await expect(device(page, name)).to_contain_text("0 items stored")
    await expect(page.get_by_role("log")).to_contain_text("Logged out: ")
    await tab.get_by_role("link", name="Log in").click()
    await expect(rows).to_have_count(1)


async def test_the_page_fits_a_phone(page: Page) -> None:
    """Nothing is wider than the screen."""
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_tokens_are_for_local_pages_and_the_two_people_only(hub: Replica) -> None:
    """The demo mints nothing for another name of this machine, nor for another user."""
    body = {"user": "ada"}
    assert (await hub.call("POST", "/demo/token", json=body)).status == 200
    rebound = await hub.call("POST", "/demo/token", json=body, headers={"Host": "evil.example"})
    assert (rebound.status, rebound.code) == (403, "forbidden")
    for bad in ({"user": "root"}, {}, {"user": "ada", "scope": "hub:admin"}):
        refused = await hub.call("POST", "/demo/token", json=bad)
        assert (refused.status, refused.code) == (400, "invalid_request")
