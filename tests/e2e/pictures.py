"""Takes the pictures of the documentation: ``python -m tests.e2e.pictures``. Needs Pillow."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, BrowserContext, Page

from tests.e2e.people import chromium
from tests.ports import free_port
from tests.site import running, settings

IMAGES = Path(__file__).parents[2] / "docs" / "images"
AGENT = "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
DESKTOP = (1280, 800, AGENT.format("X11; Linux x86_64"))
PHONE = (390, 844, AGENT.format("Linux; Android 16; Pixel 9"))
GAP = 16
COLOURS = 128
BEHIND = {"light": "#ffffff", "dark": "#0d1117"}


async def main() -> None:
    """Take all of them, light and dark."""
    async with chromium() as browser:
        for scheme, ending in (("light", ""), ("dark", "-dark")):
            demo, *pages = await take(browser, scheme, DESKTOP)
            save(f"demo{ending}", [demo], scheme)
            middle = (DESKTOP[0] - DESKTOP[1]) // 2
            box = (middle, 0, middle + DESKTOP[1], DESKTOP[1])
            save(f"pages{ending}", [page.crop(box) for page in pages], scheme, width=600)
            phones = await take(browser, scheme, PHONE)
            save(f"phones{ending}", phones, scheme, width=300)


async def take(browser: Browser, scheme: str, size: tuple[int, int, str]) -> list[Image.Image]:
    """Return the demo after a logout, the page of devices, and a reason, in a colour scheme."""
    width, height, agent = size
    async with running(settings(port=free_port()), demo=True) as hub:
        context = await browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            user_agent=agent,
        )
        page = await context.new_page()
        await page.goto(hub.url)
        await page.get_by_role("listitem").nth(4).wait_for()
        await page.get_by_role("button", name="Log out").nth(1).click()
        await page.get_by_role("button", name="The other devices").wait_for()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Everywhere").click()
        await dialog.get_by_role("button", name="Close").click()
        await page.get_by_text("all clear in").wait_for()
        await page.mouse.move(0, 0)
        # The screens go dark in turn.
        await asyncio.sleep(1)
        demo = await shoot(page)
        await page.get_by_role("button", name="Log all in again").click()
        await page.get_by_role("listitem").nth(4).wait_for()
        devices = await open_page(context, f"{hub.url}/demo/login")
        reason = await open_page(context, f"{hub.url}/signed-out?reason=password_changed")
        await context.close()
    return [demo, devices, reason]


async def open_page(context: BrowserContext, url: str) -> Image.Image:
    """Return a page as it looks once it has all it shows."""
    page = await context.new_page()
    await page.goto(url)
    await asyncio.sleep(1)
    picture = await shoot(page)
    await page.close()
    return picture


async def shoot(page: Page) -> Image.Image:
    """Return what is on the screen."""
    return Image.open(io.BytesIO(await page.screenshot())).convert("RGB")


def save(name: str, pictures: list[Image.Image], scheme: str, width: int | None = None) -> None:
    """Write pictures side by side, with few colours, as they have few."""
    if width is not None:
        height = round(pictures[0].height * width / pictures[0].width)
        pictures = [picture.resize((width, height)) for picture in pictures]
    across = sum(picture.width + GAP for picture in pictures) - GAP
    sheet = Image.new("RGB", (across, pictures[0].height), BEHIND[scheme])
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width + GAP
    # The usual method forgets colours of small things, such as dots.
    small = sheet.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small.save(IMAGES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    asyncio.run(main())
