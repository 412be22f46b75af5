"""The tutorial, done as it stands there: two browsers, one logout."""

from __future__ import annotations

import os

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.e2e.people import chromium
from tests.ports import free_port
from tests.recipes.pages import run_python
from tests.recipes.serving import served_asgi
from tests.site import SECRET, running, settings


async def log_in(context: BrowserContext, url: str, user: str) -> Page:
    """Log in, as step 3 says, and see the balance."""
    page = await context.new_page()
    await page.goto(url)
    await page.get_by_label("Name").fill(user)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_text("£2,481.07")).to_be_visible()
    return page


async def test_a_logout_empties_the_page_on_every_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other device asks for a login at once, and so does Back; another person stays."""
    port = free_port()
    url = f"http://localhost:{port}"
    async with running(settings(allowed_origins=(url,))) as hub, chromium() as browser:
        monkeypatch.setenv("LOGOUT_HUB", hub.url)
        monkeypatch.setenv("HUB_JWT_SECRET", SECRET)
        recipe = run_python("tutorial.md")
        monkeypatch.delenv("HUB_JWT_SECRET")
        assert "HUB_JWT_SECRET" not in os.environ
        async with served_asgi(recipe["app"], port):
            laptop, phone, graces = [await browser.new_context() for _ in range(3)]
            first = await log_in(laptop, url, "Ada")
            second = await log_in(phone, url, "Ada")
            other = await log_in(graces, url, "Grace")
            await first.get_by_role("button", name="Log out everywhere").click()
            for page in (first, second):
                await page.wait_for_url(f"{url}/login**")
                await page.goto(url)
                await expect(page.get_by_role("button", name="Log in")).to_be_visible()
            await expect(other.get_by_text("£2,481.07")).to_be_visible()
            again = await log_in(phone, url, "Ada")
            await again.reload()
            await expect(again.get_by_text("£2,481.07")).to_be_visible()
