"""The demo page, as a newcomer sees it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Locator, Page, expect

from tests.e2e.people import chromium
from tests.site import Replica, running, settings

DEVICES = ["Laptop", "Phone", "Tablet", "Work PC"]
GRACES = "Grace’s phone"


@pytest.fixture
async def hub() -> AsyncIterator[Replica]:
    """A hub with the demo."""
    async with running(settings(), demo=True) as replica:
        yield replica


@pytest.fixture
async def page(hub: Replica) -> AsyncIterator[Page]:
    """The demo in a real Chromium; nothing may be on its console, no other host be asked."""
    complaints: list[str] = []
    async with chromium() as browser:
        page = await browser.new_page(viewport={"width": 390, "height": 844})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url))
        await page.goto(hub.url)
        for name in [*DEVICES, GRACES]:
            await expect(device(page, name)).to_contain_text("online")
        yield page
    assert [text for text in complaints if not text.startswith((hub.url, "data:"))] == []


def device(page: Page, name: str) -> Locator:
    """Return the part of the page that is a device."""
    return page.get_by_role("article", name=name, exact=True)


async def test_one_click_is_a_logout_on_every_device(page: Page) -> None:
    """Four devices hold nothing any more and say why and how fast; the fifth noticed nothing."""
    await device(page, "Phone").get_by_role("button", name="Log out everywhere").click()
    for name in DEVICES:
        await expect(device(page, name)).to_contain_text("Signed out from Phone")
        await expect(device(page, name)).to_contain_text("0 items stored")
        await expect(device(page, name)).to_contain_text(re.compile(r"\d+ ms"))
    await expect(device(page, GRACES)).to_contain_text("online")
    await expect(device(page, GRACES)).to_contain_text("0 notices")
    await expect(page.get_by_role("log")).to_contain_text("4 devices told")


async def test_the_others_go_and_the_caller_stays(page: Page) -> None:
    """Logging out the others leaves the device that asked as it was."""
    await device(page, "Tablet").get_by_role("button", name="Log out the others").click()
    for name in ("Laptop", "Phone", "Work PC"):
        await expect(device(page, name)).to_contain_text("logged out")
    await expect(device(page, "Tablet")).to_contain_text("online")
    await expect(device(page, "Tablet")).to_contain_text("2 items stored")


async def test_everybody_can_log_in_again_by_keyboard(page: Page) -> None:
    """After a logout the focus is on the way back in, and Enter takes it."""
    button = device(page, "Laptop").get_by_role("button", name="Log out here")
    await button.focus()
    await page.keyboard.press("Enter")
    again = device(page, "Laptop").get_by_role("button", name="Log in again")
    await expect(again).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(device(page, "Laptop")).to_contain_text("online")
    await expect(device(page, "Phone")).to_contain_text("online")


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
