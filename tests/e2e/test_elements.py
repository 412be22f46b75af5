"""The elements as people meet them: a real Chromium, a real hub, a strict policy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Locator, Page, Route, expect

from hub.app import create_app, serve
from tests.e2e.accessibility import find_violations
from tests.e2e.people import PythonClient, python_client
from tests.patience import PATIENCE
from tests.site import Replica, settings, token

pytestmark = pytest.mark.asyncio(loop_scope="session")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HTML = """<!doctype html><html lang="{lang}" dir="{dir}">
<meta charset="utf-8"><title>Devices</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><link rel="stylesheet" href="/page/look.css">
<script type="module" src="/page/code.js"></script>
<main><h1>Devices</h1>
<logout-button login-url="/page/login"></logout-button>
<session-list login-url="/page/login"></session-list></main></html>"""
TAG = '<script type="module" src="/client.js" data-logout-hub></script>'
LOOK = """:root { color-scheme: light dark }
body { margin: 1rem; background: light-dark(#f5f4f0, #16181d); color: light-dark(#1b1d23, #eceef2) }
main { font-family: sans-serif }"""
CODE = """import { createLogoutHub } from "/client.js";
import "/elements.js";
if (window.key !== undefined) {
  window.hub = createLogoutHub({ token: window.key, device: "Laptop" });
  for (const element of document.querySelectorAll("logout-button, session-list"))
    element.hub = window.hub;
}"""
# What a device may call itself; were it markup, it would end up on the console.
NASTY = "<img src=x onerror=console.error('ran')>"


@contextlib.asynccontextmanager
async def site(**changes: Any) -> AsyncIterator[Replica]:
    """Run a hub that also serves an app with the elements, so that both have one origin."""
    app = create_app(settings(**changes))
    app.router.add_get("/page/{name}", get_page)
    async with (
        serve(app, "127.0.0.1", changes.get("port", 0)) as port,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as http,
    ):
        yield Replica(app, port, http)


async def get_page(request: web.Request) -> web.Response:
    """Answer for the app."""
    answers = {
        "devices": ("text/html", HTML),
        "tag": ("text/html", HTML.replace("<script", TAG + "<script")),
        "code.js": ("text/javascript", CODE),
        "look.css": ("text/css", LOOK),
        "login": ("text/html", "<!doctype html><title>Log in</title>"),
    }
    kind, text = answers[request.match_info["name"]]
    if "{lang}" in text:
        text = text.format(**{"lang": "en", "dir": "ltr", **request.query})
    headers = {"Content-Security-Policy": POLICY}
    return web.Response(text=text, content_type=kind, charset="utf-8", headers=headers)


@pytest_asyncio.fixture(loop_scope="session")
async def hub() -> AsyncIterator[Replica]:
    """A hub that takes cookies as well."""
    async with site(cookie_name="login", allowed_origins=("https://app.example",)) as replica:
        yield replica


class Desk:
    """A page with both elements, and whatever it complains of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.button = page.locator("logout-button")
        self.list = page.locator("session-list")
        self.dialog = page.get_by_role("dialog")
        self.rows = self.list.get_by_role("listitem")
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def row(self, name: str) -> Locator:
        """Return the device of that name in the list."""
        return self.rows.filter(has_text=name)

    def end(self, name: str) -> Locator:
        """Return the button that ends the device of that name."""
        return self.list.get_by_role("button", name=f"Log out {name}", exact=True)

    async def focused(self) -> str:
        """Return the accessible text of what has the focus, in whichever shadow root."""
        return str(
            await self.page.evaluate(
                """() => {
                    let at = document.activeElement;
                    while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
                    const ids = at.getAttribute("aria-labelledby")?.split(" ");
                    const named = (id) => at.getRootNode().getElementById(id).textContent;
                    return ids ? ids.map(named).join(" ") : at.textContent;
                }"""
            )
        )

    async def press(self, *keys: str) -> None:
        """Press keys, one after another."""
        for key in keys:
            await self.page.keyboard.press(key)

    async def by_http_alone(self, answer: Callable[[Route], Awaitable[None]]) -> None:
        """Load the page again, without sockets: `answer` decides what becomes of its logouts."""
        await self.page.route_web_socket("**/socket.io/**", lambda socket: socket.close())
        await self.page.route("**/logout", answer)
        await self.page.reload()

    async def assert_accessible(self) -> None:
        """Let axe-core look at the page as it stands."""
        assert await find_violations(self.page) == []


@contextlib.asynccontextmanager
async def desk(
    browser: Browser,
    hub: Replica,
    *,
    page: str = "devices",
    query: str = "",
    cookie: str | None = None,
    with_token: bool = True,
    expected: tuple[str, ...] = (),
    **options: Any,
) -> AsyncIterator[Desk]:
    """Open the elements, as Ada on her laptop.

    Nothing may be on the console (a violation of the policy would be), but what is ``expected``.
    """
    options = {"viewport": {"width": 390, "height": 844}, **options}
    context = await browser.new_context(**options)
    try:
        if cookie is not None:
            await context.add_cookies([{"name": "login", "value": cookie, "url": hub.url}])
        if with_token:
            await context.add_init_script(f"window.key = {json.dumps(token('ada', 'laptop'))}")
        opened = Desk(await context.new_page())
        await opened.page.goto(f"{hub.url}/page/{page}?{query}")
        yield opened
        assert [
            text for text in opened.complaints if not any(words in text for words in expected)
        ] == []
    finally:
        await context.close()


@contextlib.asynccontextmanager
async def device(
    hub: Replica, name: str, sid: str | None = None, user: str = "ada"
) -> AsyncIterator[PythonClient]:
    """Log another device in."""
    key = token(user, sid or name)
    async with python_client(hub, key, auth={"token": key, "device": name}) as person:
        await person.diary.wait("connect")
        yield person


async def test_the_list_shows_each_device_and_marks_this_one(
    browser: Browser, hub: Replica
) -> None:
    """The own device comes first and says so; another person's is not there."""
    async with device(hub, "Phone"), device(hub, "Radio", user="grace"), desk(browser, hub) as ada:
        await expect(ada.rows).to_have_count(2)
        await expect(ada.rows.nth(0)).to_contain_text("Laptop")
        await expect(ada.rows.nth(0)).to_contain_text("This device")
        await expect(ada.row("Phone")).to_contain_text("Online now")
        await expect(ada.row("Phone")).to_contain_text("127.0.0.1")
        await expect(ada.row("Phone")).not_to_contain_text("This device")


async def test_the_list_follows_devices_that_come_and_go(browser: Browser, hub: Replica) -> None:
    """A device that logs in, drops its connection and is logged out is seen without a reload."""
    async with desk(browser, hub) as ada:
        await expect(ada.rows).to_have_count(1)
        async with device(hub, "Phone") as phone:
            await expect(ada.row("Phone")).to_contain_text("Online now")
            await phone.io.disconnect()
            await expect(ada.row("Phone")).to_contain_text("Last seen")
        await hub.call("POST", "/logout", token("ada", "Phone"), json={"scope": "session"})
        await expect(ada.rows).to_have_count(1)
        await expect(ada.list).to_contain_text("Phone is no longer logged in.")


async def test_the_focus_and_the_rows_outlive_a_refresh(browser: Browser, hub: Replica) -> None:
    """When the list changes, the rows stay the same nodes in their places, focus and all."""
    async with device(hub, "Phone"), desk(browser, hub) as ada:
        await ada.end("Phone").focus()
        before = await ada.end("Phone").element_handle()
        place = await ada.row("Phone").bounding_box()
        async with device(hub, "Tablet"):
            await expect(ada.row("Tablet")).to_be_visible()
            await expect(ada.end("Phone")).to_be_focused()
            assert before is not None
            assert await before.evaluate("(node) => node.isConnected")
            assert await ada.row("Phone").bounding_box() == place


async def test_the_others_are_logged_out_by_keyboard_alone(browser: Browser, hub: Replica) -> None:
    """The question names the devices; the answer is the receipt; the focus comes back."""
    async with device(hub, "Phone") as phone, desk(browser, hub) as ada:
        await expect(ada.row("Phone")).to_be_visible()
        await ada.press("Tab")
        assert await ada.focused() == "Log out"
        await ada.press("Enter")
        await expect(ada.dialog).to_have_accessible_name("Where do you want to log out?")
        assert await ada.focused() == "This device"
        await ada.press("Tab")
        assert await ada.focused() == "The other devices"
        choice = ada.dialog.get_by_role("button", name="The other devices")
        told = "The sessions on Phone will end. You stay logged in here."
        await expect(choice).to_have_accessible_description(told)
        await ada.press("Space")
        assert (await phone.diary.wait("notified"))["scope"] == "others"
        status = ada.dialog.get_by_role("status")
        await expect(status).to_contain_text("1 device is logged out.")
        await expect(status).to_contain_text("Confirmed and cleared: Phone")
        assert await ada.focused() == "Close"
        await ada.press("Enter")
        await expect(ada.dialog).to_be_hidden()
        assert await ada.focused() == "Log out"
        await expect(ada.rows).to_have_count(1)


async def test_escape_leaves_the_question_and_ends_nothing(browser: Browser, hub: Replica) -> None:
    """Both questions are left by Escape, and the focus is again where it was."""
    async with device(hub, "Phone") as phone, desk(browser, hub) as ada:
        for asker in (ada.button.get_by_role("button", name="Log out"), ada.end("Phone")):
            await asker.focus()
            await ada.press("Enter")
            await expect(ada.dialog).to_be_visible()
            await ada.press("Escape")
            await expect(ada.dialog).to_be_hidden()
            await expect(asker).to_be_focused()
        await expect(ada.rows).to_have_count(2)
        assert phone.diary.all("notified") == []


async def test_one_device_is_ended_from_the_list(browser: Browser, hub: Replica) -> None:
    """It is asked first and told after; the focus goes on to the device beside."""
    async with device(hub, "Phone") as phone, device(hub, "Tablet"), desk(browser, hub) as ada:
        await ada.end("Phone").focus()
        await ada.press("Enter")
        await expect(ada.dialog).to_have_accessible_name("Log out Phone?")
        assert await ada.focused() == "Cancel"
        await ada.press("Tab", "Enter")
        await phone.diary.wait("notified")
        await expect(ada.list.get_by_role("status")).to_contain_text(
            ["Confirmed and cleared: Phone"]
        )
        await expect(ada.rows).to_have_count(2)
        await expect(ada.end("Tablet")).to_be_focused()


async def test_devices_of_one_name_are_told_apart(browser: Browser, hub: Replica) -> None:
    """A question about one of them says since when and from where; of several it says how many."""
    async with device(hub, "Phone", "one"), device(hub, "Phone", "two"), desk(browser, hub) as ada:
        await expect(ada.end("Phone")).to_have_count(2)
        await ada.end("Phone").first.click()
        await expect(ada.dialog).to_have_accessible_name("Log out Phone?")
        await expect(ada.dialog).to_contain_text(
            re.compile(r"Logged in .* 127\.0\.0\.1\. The session")
        )
        await ada.press("Escape")
        await ada.list.get_by_role("button", name="Log out all other devices").click()
        await expect(ada.dialog).to_contain_text("The sessions on 2 × Phone will end.")
        await ada.dialog.get_by_role("button", name="Log out all other devices").click()
        await expect(ada.list).to_contain_text("Confirmed and cleared: 2 × Phone")


async def test_all_others_are_ended_from_the_list(browser: Browser, hub: Replica) -> None:
    """One button ends them all, after it has named them; a device that is away is told of too."""
    async with device(hub, "Phone") as phone, device(hub, "Tablet") as tablet:
        await tablet.io.disconnect()
        async with desk(browser, hub) as ada:
            await ada.list.get_by_role("button", name="Log out all other devices").click()
            await expect(ada.dialog).to_contain_text("The sessions on Phone and Tablet will end.")
            await ada.dialog.get_by_role("button", name="Log out all other devices").click()
            await phone.diary.wait("notified")
            await expect(ada.list).to_contain_text("2 devices are logged out.")
            await expect(ada.list).to_contain_text("Confirmed and cleared: Phone")
            await expect(ada.list).to_contain_text("Not connected; turned away on return: Tablet")
            await expect(ada.rows).to_have_count(1)
            assert "2 devices" in await ada.focused()


async def test_a_logout_everywhere_ends_this_device_too(browser: Browser, hub: Replica) -> None:
    """Both elements say that this device is logged out, and lead to the login."""
    async with device(hub, "Phone") as phone, desk(browser, hub) as ada:
        await ada.button.get_by_role("button", name="Log out").click()
        await ada.dialog.get_by_role("button", name="Everywhere").click()
        await phone.diary.wait("notified")
        await expect(ada.dialog).to_contain_text("You are logged out on this device.")
        await expect(ada.dialog).to_contain_text(re.compile("Confirmed and cleared: .*Phone"))
        await ada.dialog.get_by_role("button", name="Close").click()
        await expect(ada.rows).to_have_count(0)
        await expect(ada.list).to_contain_text("You are logged out on this device.")
        await ada.button.get_by_role("link", name="Log in again").click()
        await expect(ada.page).to_have_title("Log in")


async def test_a_logout_from_elsewhere_empties_the_list(browser: Browser, hub: Replica) -> None:
    """Names of devices are private: none is left once the session is over."""
    async with device(hub, "Phone"), desk(browser, hub) as ada:
        await expect(ada.row("Phone")).to_be_visible()
        await ada.end("Phone").focus()
        words = {"message": "Ask <b>Grace</b>"}
        await hub.call("POST", "/logout", token("ada", "Phone"), json=words)
        await expect(ada.list).to_contain_text("You are logged out on this device.")
        await expect(ada.list).to_contain_text("Ask <b>Grace</b>")
        await expect(ada.list).not_to_contain_text("Phone")
        await expect(ada.button.get_by_role("button")).to_have_count(0)
        assert "You are logged out" in await ada.focused()


async def test_a_name_is_shown_as_text(browser: Browser, hub: Replica) -> None:
    """Markup in a device's name is neither run nor made into an element, wherever it is shown."""
    async with device(hub, NASTY) as phone, desk(browser, hub) as ada:
        await expect(ada.row(NASTY)).to_be_visible()
        await ada.button.get_by_role("button", name="Log out").click()
        await expect(ada.dialog).to_contain_text(NASTY)
        await ada.press("Escape")
        await ada.row(NASTY).get_by_role("button").click()
        await expect(ada.dialog).to_contain_text(NASTY)
        await ada.dialog.get_by_role("button", name="Log out").click()
        await phone.diary.wait("notified")
        await expect(ada.list).to_contain_text(f"Confirmed and cleared: {NASTY}")
        await expect(ada.page.locator("img")).to_have_count(0)


async def test_the_hub_may_be_gone_and_come_back(browser: Browser) -> None:
    """The list says that it may be old and mends itself; a logout that failed says so."""
    async with site() as first:
        port = first.port
        await first.call("GET", "/session", token("ada"), headers={"User-Agent": "Phone"})
        context = desk(browser, first, expected=("net::ERR", "Clear-Site-Data"))
        ada = await context.__aenter__()
        await expect(ada.rows).to_have_count(2)
        # The list may have been read before the socket gave the device its name.
        await expect(ada.row("Laptop")).to_be_visible()
    try:
        await expect(ada.list).to_contain_text("The server cannot be reached.")
        await expect(ada.row("Laptop")).to_be_visible()
        await expect(ada.list.get_by_role("button", name="Try again")).to_be_visible()
        other = ada.rows.nth(1).get_by_role("button")
        await other.click()
        await ada.dialog.get_by_role("button", name="Log out").click()
        await expect(ada.list).to_contain_text("this may not have worked. Please try again.")
        await expect(other).to_have_attribute("aria-disabled", "false")
        async with site(port=port):
            away = ada.list.get_by_text("The server cannot be reached. The list")
            await expect(away).to_have_count(0)
            await expect(ada.row("Laptop")).to_contain_text("Online now")
            await ada.end("Laptop").click()
            await ada.dialog.get_by_role("button", name="Log out").click()
            await expect(ada.list).to_contain_text("You are logged out on this device.")
    finally:
        await context.__aexit__(None, None, None)


@pytest.mark.parametrize("element", ["logout-button", "session-list"])
async def test_a_logout_without_a_connection_is_said_to_be_pending(
    browser: Browser, element: str
) -> None:
    """The device is logged out at once, and the rest is told once the hub is back."""
    async with site() as first:
        port = first.port
        context = desk(browser, first, expected=("net::ERR", "Clear-Site-Data"))
        ada = await context.__aenter__()
        # Its name comes with its socket, which may be later than the list.
        await expect(ada.end("Laptop")).to_be_visible()
    try:
        if element == "logout-button":
            await ada.button.get_by_role("button", name="Log out").click()
            await expect(ada.dialog).to_contain_text("and on all your other devices will end.")
            await ada.dialog.get_by_role("button", name="Everywhere").click()
        else:
            await ada.end("Laptop").click()
            await ada.dialog.get_by_role("button", name="Log out").click()
        teller = ada.page.locator(element)
        await expect(teller).to_contain_text("You are logged out on this device.")
        await expect(teller).to_contain_text("There is no connection now.")
        await ada.assert_accessible()
        async with site(port=port):
            pending = teller.get_by_text("There is no connection now.")
            await expect(pending).to_have_count(0)
            await expect(teller).to_contain_text("You are logged out on this device.")
    finally:
        await context.__aexit__(None, None, None)


async def test_what_happened_moves_nothing(browser: Browser, hub: Replica) -> None:
    """Rows and buttons stay where they are while the list says what it does."""
    async with device(hub, "Phone"), device(hub, "Tablet"), desk(browser, hub) as ada:
        await ada.by_http_alone(lambda route: route.abort())
        await expect(ada.rows).to_have_count(3)
        await expect(ada.row("Laptop")).to_contain_text("Last seen")
        others = ada.list.get_by_role("button", name="Log out all other devices")
        places = [await ada.rows.nth(1).bounding_box(), await others.bounding_box()]
        await ada.end("Phone").click()
        await ada.dialog.get_by_role("button", name="Log out").click()
        await expect(ada.list).to_contain_text("this may not have worked. Please try again.")
        await ada.assert_accessible()
        assert [await ada.rows.nth(1).bounding_box(), await others.bounding_box()] == places
        ada.complaints.clear()


async def test_the_cookie_is_enough(browser: Browser, hub: Replica) -> None:
    """Elements that are given no hub ask the one that they came from, with its cookie."""
    async with (
        device(hub, "Phone"),
        desk(
            browser,
            hub,
            with_token=False,
            cookie=token("ada", "laptop"),
            expected=("origin_not_allowed",),
        ) as ada,
    ):
        await expect(ada.row("Phone")).to_be_visible()
        await expect(ada.rows.nth(0)).to_contain_text("This device")
        same = "document.querySelector('logout-button').hub === document.querySelector('{}').hub"
        assert await ada.page.evaluate(same.format("session-list"))


async def test_a_hub_that_the_page_made_is_used(browser: Browser, hub: Replica) -> None:
    """A script tag that asks for a client, and elements: one client, one connection."""
    async with desk(
        browser,
        hub,
        page="tag",
        with_token=False,
        cookie=token("ada", "laptop"),
        expected=("origin_not_allowed",),
    ) as ada:
        await expect(ada.rows).to_have_count(1)
        same = (
            "document.querySelector('session-list').hub === (await import('/client.js')).pageHub()"
        )
        assert await ada.page.evaluate(f"async () => {same}")


async def test_who_is_not_logged_in_is_told_so(browser: Browser, hub: Replica) -> None:
    """Without a cookie there is no list, but a way to the login, and no endless asking."""
    async with desk(browser, hub, with_token=False, expected=("401", "token_missing")) as nobody:
        await expect(nobody.list).to_contain_text("You are not logged in here.")
        await expect(nobody.rows).to_have_count(0)
        await expect(nobody.list.get_by_role("link", name="Log in again")).to_be_visible()


async def test_the_elements_speak_german(browser: Browser, hub: Replica) -> None:
    """The nearest `lang` decides, also when it changes."""
    async with device(hub, "Phone"), desk(browser, hub, query="lang=de-AT") as ada:
        await expect(ada.row("Phone")).to_contain_text("Jetzt online")
        await ada.button.get_by_role("button", name="Abmelden").click()
        await expect(ada.dialog).to_contain_text("Die Sitzungen auf Phone enden.")
        await ada.press("Escape")
        await ada.page.evaluate("document.querySelector('session-list').lang = 'en'")
        await expect(ada.row("Phone")).to_contain_text("Online now")


async def test_a_page_may_replace_the_texts(browser: Browser, hub: Replica) -> None:
    """What is replaced is seen at once; what is not is still there."""
    async with desk(browser, hub) as ada:
        await expect(ada.rows).to_have_count(1)
        replace = "import('/elements.js').then((m) => m.setTexts('en', {online: 'Here we are'}))"
        await ada.page.evaluate(replace)
        await expect(ada.row("Laptop")).to_contain_text("Here we are")
        await expect(ada.row("Laptop")).to_contain_text("This device")


async def test_right_to_left_is_mirrored(browser: Browser, hub: Replica) -> None:
    """On a page that runs from the right, names are right, buttons left, and nothing sticks out."""
    size = {"width": 320, "height": 640}
    async with (
        device(hub, "A name that is much too long for a phone, and some more of it"),
        desk(browser, hub, query="lang=ar&dir=rtl", viewport=size) as ada,
    ):
        await expect(ada.rows).to_have_count(2)
        for row in await ada.rows.all():
            name = await row.locator("[part=device]").bounding_box()
            end = await row.get_by_role("button").bounding_box()
            assert name is not None
            assert end is not None
            assert end["x"] + end["width"] < name["x"] + name["width"] / 2
        assert await ada.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(browser: Browser, hub: Replica, scheme: str) -> None:
    """Each thing that the elements show is without a violation that axe-core can find."""
    async with (
        device(hub, "Phone") as phone,
        device(hub, "Tablet") as tablet,
        desk(browser, hub, color_scheme=scheme) as ada,
    ):
        await tablet.io.disconnect()
        await expect(ada.row("Phone")).to_be_visible()
        await ada.assert_accessible()
        await ada.end("Phone").click()
        await ada.assert_accessible()
        await ada.dialog.get_by_role("button", name="Log out").click()
        await phone.diary.wait("notified")
        await expect(ada.list).to_contain_text("Confirmed and cleared: Phone")
        await ada.assert_accessible()
        await ada.button.get_by_role("button", name="Log out").click()
        await ada.assert_accessible()
        await ada.dialog.get_by_role("button", name="Everywhere").click()
        await expect(ada.dialog).to_contain_text("turned away on return: Tablet")
        await ada.assert_accessible()
        await ada.dialog.get_by_role("button", name="Close").click()
        await ada.assert_accessible()


async def test_targets_are_large_enough(browser: Browser, hub: Replica) -> None:
    """Nothing that is to be hit is smaller than 24 by 24 pixels (WCAG 2.5.8)."""
    async with device(hub, "Phone"), desk(browser, hub) as ada:
        await expect(ada.row("Phone")).to_be_visible()
        await ada.button.get_by_role("button", name="Log out").click()
        targets = ada.page.locator("logout-button button, session-list button")
        boxes = [await each.bounding_box() for each in await targets.all()]
        seen = [box for box in boxes if box is not None]
        assert len(seen) >= 8
        assert all(box["width"] >= 24 and box["height"] >= 24 for box in seen)


async def test_a_button_is_busy_until_the_hub_answers(browser: Browser, hub: Replica) -> None:
    """A second press while the first is under way ends nothing twice."""
    async with device(hub, "Phone") as phone, desk(browser, hub) as ada:
        held: list[Route] = []
        asked = asyncio.Event()

        async def hold(route: Route) -> None:
            held.append(route)
            asked.set()

        await ada.by_http_alone(hold)
        await ada.end("Phone").click()
        await ada.dialog.get_by_role("button", name="Log out").click()
        await expect(ada.end("Phone")).to_have_attribute("aria-disabled", "true")
        await ada.end("Phone").press("Enter")
        await expect(ada.dialog).to_be_hidden()
        async with asyncio.timeout(PATIENCE):
            await asked.wait()
        assert len(held) == 1
        await held[0].continue_()
        await phone.diary.wait("notified")
        await expect(ada.list).to_contain_text("Confirmed and cleared: Phone")
