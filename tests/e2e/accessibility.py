"""What axe-core finds wrong with a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.async_api import Page

from tests.conftest import lacking

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
CHECK = """async () => (await axe.run()).violations.map(
  ({id, nodes}) => [id, nodes.map(({html, failureSummary}) => html + failureSummary)])"""


async def find_violations(page: Page) -> Any:
    """Return the rules that a page breaks as it stands, each with where; empty if none."""
    if not AXE.is_file():
        lacking("axe-core of package.json")
    if await page.evaluate("typeof axe") == "undefined":
        # By the protocol, not by a script element: the page's policy allows none but its own.
        await page.evaluate(AXE.read_text(encoding="utf-8"))
    return await page.evaluate(CHECK)
