"""What a service worker still fetches when its person logs out is not cached afterwards."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.line import Line
from tests.e2e.people import until_true
from tests.e2e.shop import KEPT, Shop, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "browser-client.md"
TAKE_OVER = """
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
"""
REGISTER = "navigator.serviceWorker.register('/documented.mjs').then(() => null)"
TAKEN = "navigator.serviceWorker.controller?.scriptURL.endsWith('/documented.mjs')"
CACHED = """async () => (await (await caches.open("account")).keys()).length"""


def documented_worker() -> str:
    """Return the worker that the reference shows."""
    section = REFERENCE.read_text(encoding="utf-8").partition("## Service workers\n")[2]
    found = re.search(r"```js\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


async def test_an_answer_that_is_under_way_is_not_cached(
    ada: Visitor, shop: Shop, line: Line
) -> None:
    """The worker of the reference caches an answer, and none that comes after the logout."""
    shop.scripts["documented.mjs"] = documented_worker() + TAKE_OVER
    tab = await ada.tab("/private?stay")
    await tab.page.evaluate(REGISTER)
    await until_true(tab.page, TAKEN)
    shop.answers.set()
    assert await tab.page.evaluate("fetch('/account/first').then((a) => a.text())") == "private"
    assert await tab.page.evaluate(CACHED) == 1
    shop.answers.clear()
    await tab.page.evaluate("void (window.late = fetch('/account/late').then((a) => a.text()))")
    await shop.diary.wait("asked", 2)
    await tab.click_logout()
    await tab.diary.wait("answered")
    assert await tab.stored() == KEPT
    shop.answers.set()
    assert await tab.page.evaluate("window.late") == "private"
    assert await tab.stored() == KEPT
