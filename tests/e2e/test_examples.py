"""The examples, as somebody meets them who copies them: in a real Chromium, against a real hub."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.conftest import lacking
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.site import SECRET, Replica, running, settings

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="session")
def built_react(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of the React example, built by its own build script."""
    npm = shutil.which("npm")
    if npm is None or not (ROOT / "node_modules" / "react").is_dir():
        lacking("npm with the packages of package.json")
    folder = tmp_path_factory.mktemp("react")
    shutil.copytree(EXAMPLES / "react" / "public", folder, dirs_exist_ok=True)
    subprocess.run(
        [
            *(str(npm), "run", "--silent", "build", "--", f"--outfile={folder / 'app.js'}"),
            # Then React makes and closes each client once more, to find what is left behind.
            "--define:process.env.NODE_ENV='development'",
        ],
        cwd=EXAMPLES / "react",
        check=True,
        timeout=PATIENCE,
    )
    return folder


@dataclass
class Site:
    """An example that runs, and the hub beside it."""

    url: str
    hub: Replica
    browser: Browser
    complaints: list[str]

    async def log_in(self, name: str) -> Page:
        """Log in as somebody, in a browser of its own, and write a draft."""
        context = await self.browser.new_context()
        page = await context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._hear(message))
        await page.goto(self.url)
        await page.get_by_label("Your name").fill(name)
        await page.get_by_role("button", name="Log in").click()
        draft = page.get_by_label("A draft")
        await expect(draft).to_be_visible()
        await draft.fill(f"private to {name}")
        assert "private" in await stored(page)
        return page

    def _hear(self, message: Any) -> None:
        # A refusal is an error to the browser, and no news here; nor that there is no icon.
        is_news = "401 (Unauthorized)" not in message.text
        if message.type == "error" and is_news and "favicon" not in message.location["url"]:
            self.complaints.append(message.text)


async def stored(page: Page) -> str:
    """Return what the page keeps in its storages and in cookies that scripts can read."""
    kept = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    return str(await page.evaluate(kept))


async def is_out(page: Page) -> None:
    """Check that a page shows the login, and that nothing private is left, on Back neither."""
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert "private" not in await stored(page)
    await page.go_back()
    await page.wait_for_timeout(300)
    await expect(page.get_by_label("A draft")).not_to_be_visible()


async def is_in(page: Page, name: str) -> None:
    """Check that a page shows what is private to somebody."""
    await expect(page.get_by_label("A draft")).to_have_value(f"private to {name}")
    await expect(page.get_by_label("A draft")).to_be_visible()


async def started(process: asyncio.subprocess.Process, port: int) -> None:
    """Wait until a server listens."""
    async with asyncio.timeout(PATIENCE):
        while True:
            assert process.returncode is None
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                await writer.wait_closed()
                return


@pytest_asyncio.fixture(loop_scope="session", params=["plain", "react"])
async def site(request: pytest.FixtureRequest, browser: Browser) -> AsyncIterator[Site]:
    """An example with a hub in memory; no page of it may complain."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environ = {"APP": url, "SECRET": SECRET}
    if request.param == "plain":
        command = [sys.executable, str(EXAMPLES / "plain" / "server.py")]
    else:
        environ["FOLDER"] = f"{request.getfixturevalue('built_react')}/"
        command = ["node", str(EXAMPLES / "react" / "server.js")]
    async with running(settings(cookie_name="session", allowed_origins=(url,))) as hub:
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **environ, "HUB": hub.url},
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            await started(process, port)
            running_site = Site(url, hub, browser, [])
            yield running_site
        finally:
            for context in browser.contexts:
                await context.close()
            process.kill()
            await process.wait()
    assert running_site.complaints == []


async def test_a_logout_in_one_browser_is_one_in_the_other(site: Site) -> None:
    """Both browsers of Ada are out and cleared; Grace's notices nothing."""
    phone, laptop, graces = [await site.log_in(name) for name in ("Ada", "Ada", "Grace")]
    await phone.get_by_role("button", name="Log out everywhere").click()
    await is_out(laptop)
    await is_out(phone)
    await is_in(graces, "Grace")
    for page in (phone, laptop):
        await page.goto(site.url)
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    await page.get_by_label("Your name").fill("Ada")
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_label("A draft")).to_have_value("")
    await expect(page.get_by_label("A draft")).to_be_visible()


async def test_a_browser_that_was_closed_finds_itself_logged_out(site: Site) -> None:
    """A page that was not open at the logout shows nothing private when it is opened."""
    phone, laptop = [await site.log_in("Ada") for _ in range(2)]
    context = laptop.context
    await laptop.close()
    await phone.get_by_role("button", name="Log out everywhere").click()
    await is_out(phone)
    later = await context.new_page()
    await later.goto(site.url)
    await expect(later.get_by_role("heading", name="Log in")).to_be_visible()
    await expect(later.get_by_label("A draft")).not_to_be_visible()


async def test_a_reload_goes_on_where_it_was(site: Site) -> None:
    """A reload is no logout: the login and the draft are still there."""
    page = await site.log_in("Ada")
    await page.reload()
    await is_in(page, "Ada")


async def test_a_login_that_is_gone_from_the_browser_is_over(site: Site) -> None:
    """A page whose login was taken away unseen is cleared when it wakes, and shows the login."""
    page = await site.log_in("Ada")
    await page.context.clear_cookies()
    await page.evaluate("dispatchEvent(new Event('online'))")
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert "private" not in await stored(page)


@pytest.mark.parametrize("site", ["react"], indirect=True)
async def test_a_device_is_ended_from_the_list(site: Site) -> None:
    """The list names the devices, and its button ends one and no other."""
    phone, laptop = [await site.log_in("Ada") for _ in range(2)]
    devices = phone.get_by_role("listitem")
    await expect(devices).to_have_count(2)
    await expect(devices.filter(has_text="this device")).to_have_count(1)
    await phone.get_by_role("listitem").get_by_role("button").click()
    await is_out(laptop)
    await is_in(phone, "Ada")


@pytest.mark.parametrize("site", ["plain"], indirect=True)
async def test_a_name_is_shown_as_it_was_given(site: Site) -> None:
    """The hub's header has it percent-encoded, and the page does not."""
    page = await site.log_in("Zoë 50%25")
    await expect(page.get_by_role("heading", name="Notes of Zoë 50%25", exact=True)).to_be_visible()


@pytest.mark.parametrize("site", ["plain"], indirect=True)
async def test_one_browser_is_logged_out_alone(site: Site) -> None:
    """Logging out here leaves the other browser in."""
    phone, laptop = [await site.log_in("Ada") for _ in range(2)]
    await phone.get_by_role("button", name="Log out here").click()
    await is_out(phone)
    await is_in(laptop, "Ada")
