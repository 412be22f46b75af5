"""A browser that was closed and opens the next day, with all that it kept on disk."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from tests.e2e.line import Line
from tests.e2e.people import chromium_options, python_client
from tests.e2e.shop import EVERYTHING, KEPT, Shop, Visitor, visit
from tests.site import Replica, token

pytestmark = pytest.mark.asyncio(loop_scope="session")


@contextlib.asynccontextmanager
async def a_day(folder: Path, shop: Shop) -> AsyncIterator[Visitor]:
    """Start the browser of that folder, and close it at the end."""
    async with async_playwright() as playwright:
        options = chromium_options(with_windows=True)
        context = await playwright.chromium.launch_persistent_context(folder, **options)
        yield await visit(context, shop)
        await context.close()


async def test_a_logout_while_the_browser_was_closed(
    tmp_path: Path, shop: Shop, hub: Replica, line: Line
) -> None:
    """The page that is opened the next day shows nothing private, and clears what was left."""
    async with a_day(tmp_path, shop) as ada:
        await ada.log_in("ada")
        await ada.tab()
    assert (await hub.call("POST", "/logout", token("ada", "phone"))).status == 200
    async with a_day(tmp_path, shop) as ada:
        tab = await ada.tab(None)
        await tab.go("/help")
        stored = await tab.stored()
        assert stored == {**EVERYTHING, "session": []}
        await tab.go("/private")
        await tab.reach_login("user")
        assert tab.diary.all("shown") == []
        assert await tab.stored() == {**KEPT, "session": []}


async def test_a_logout_without_a_network_is_sent_the_next_day(
    tmp_path: Path, shop: Shop, hub: Replica, line: Line
) -> None:
    """The first page of the next day sends a logout that was pending."""
    async with python_client(hub, token("ada", "phone")) as phone:
        await phone.diary.wait("connect")
        async with a_day(tmp_path, shop) as ada:
            await ada.log_in("ada")
            tab = await ada.tab()
            line.cut()
            await tab.click_logout()
            await tab.reach_login("user (not sent yet)")
        line.mend()
        assert phone.diary.entries == [("connect", None)]
        async with a_day(tmp_path, shop) as ada:
            tab = await ada.tab(None)
            await tab.go("/private")
            await tab.reach_login("user")
            assert tab.diary.all("shown") == []
            await phone.diary.wait("notified")
            assert await tab.stored() == {**KEPT, "session": []}
