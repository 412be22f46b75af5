"""The page that says why somebody was logged out."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.core.model import Reason
from hub.pages.documents import LOG_IN, cases, read_page
from hub.pages.signed_out import FILE, GENERAL
from tests.signals_site import issuer_settings
from tests.signals_table import Sender
from tests.site import Answer, Replica, running, settings

ORIGIN = "https://hub.example"


@pytest.fixture
async def hub() -> AsyncIterator[Replica]:
    """A hub that nothing is set for but a place to log in."""
    async with running(settings(login_url="/login?from=hub&why=out")) as replica:
        yield replica


def heading(answer: Answer) -> str:
    """Return what the page says first."""
    found = re.findall(r"<h1>(.+?)</h1>", answer.body)
    assert len(found) == 1
    return str(found[0])


def test_every_reason_has_its_words() -> None:
    """There is a text for each reason of a logout, and one for all else."""
    assert cases(FILE) == (*Reason, GENERAL)


async def test_the_address_chooses_the_words(hub: Replica) -> None:
    """Each reason has a heading of its own, and the page holds no other reason's."""
    told = {heading(await hub.call("GET", f"/signed-out?reason={reason}")) for reason in Reason}
    assert len(told) == len(Reason)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?reason=",
        "?reason=USER",
        "?reason=general",
        "?reason=<script>alert(1)</script>",
        "?reason=%3Cb%3Ehello%3C/b%3E&message=hello",
        "?reason=user&reason=admin&hello",
        "?reason=$login",
        "?reason=" + "hello" * 500,
        "?message=hello&reason=hello",
    ],
)
async def test_nothing_of_the_address_is_shown(hub: Replica, query: str) -> None:
    """What is no reason gives the general text, and no text of the address comes back."""
    plain = await hub.call("GET", "/signed-out")
    answer = await hub.call("GET", f"/signed-out{query}")
    assert answer.status == 200
    if query.startswith("?reason=user&"):
        assert heading(answer) == heading(await hub.call("GET", "/signed-out?reason=user"))
    else:
        assert answer.body == plain.body
    assert "hello" not in answer.body
    assert "alert" not in answer.body


async def test_it_leads_to_the_login_that_was_set(hub: Replica) -> None:
    """The operator's address is in the page, as text of an attribute; without one is no link."""
    answer = await hub.call("GET", "/signed-out")
    assert '<a class="main" href="/login?from=hub&amp;why=out">' in answer.body
    async with running(settings()) as other:
        bare = await other.call("GET", "/signed-out")
        assert 'class="main"' not in bare.body
        assert "$" not in bare.body


async def test_it_works_without_scripts_and_lets_none_in(hub: Replica) -> None:
    """The page has no script and no inline style, and its policy allows no other site's things."""
    answer = await hub.call("GET", "/signed-out?reason=idle")
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", answer.body)
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


async def test_head_is_answered_too(hub: Replica) -> None:
    """A link checker's HEAD gets what GET would, without the body."""
    answer = await hub.call("HEAD", "/signed-out")
    assert (answer.status, answer.body) == (200, "")


@pytest.mark.parametrize(
    ("query", "header", "lang"),
    [
        ("", None, "en"),
        ("", "de-AT,de;q=0.9,en;q=0.8", "de"),
        ("", "en-GB,de;q=0.9", "en"),
        ("", "fr, de;q=0.5, en;q=0.4", "de"),
        ("", "de;q=0, en;q=0.1", "en"),
        ("", "de;q=high", "en"),
        ("", "de;q=nan,en;q=0.1", "en"),
        ("", "xx,*", "en"),
        ("", ",;q=1," * 300 + "de", "en"),
        ("?lang=de", "en", "de"),
        ("?lang=DE-ch", "en", "de"),
        ("?lang=en", "de", "en"),
        ("?lang=xx", "de", "de"),
        ("?lang=../../etc", None, "en"),
    ],
)
@pytest.mark.parametrize("path", ["/signed-out", "/devices"])
async def test_the_page_speaks_the_readers_language(
    path: str, query: str, header: str | None, lang: str
) -> None:
    """What the address asks for comes first, then what the browser asks for, then English."""
    async with running(settings(cookie_name="login", allowed_origins=(ORIGIN,))) as hub:
        headers = {} if header is None else {"Accept-Language": header}
        answer = await hub.call("GET", path + query, headers=headers)
        assert answer.status == 200
        assert f'<html lang="{lang}">' in answer.body
        assert answer.headers["Content-Language"] == lang
        assert "Accept-Language" in answer.headers["Vary"]


@pytest.mark.parametrize("name", ["signed-out", "devices"])
@pytest.mark.parametrize("lang", [lang for lang in LOG_IN if lang != "en"])
def test_a_document_is_the_same_in_each_language(name: str, lang: str) -> None:
    """The same cases and the same markup stand in each; only the words differ."""
    tags = re.compile(r"<[^>]+>")

    def bare(file: str) -> list[str]:
        text = read_page(file).replace(f'lang="{lang}"', 'lang="en"')
        return tags.findall(text.replace(f"?lang={lang}", "").replace(f"&amp;lang={lang}", ""))

    assert bare(f"{name}.{lang}.html") == bare(f"{name}.html")
    assert cases(f"{name}.{lang}.html") == cases(f"{name}.html")


@pytest.mark.parametrize("lang", LOG_IN)
async def test_it_names_the_identity_provider_that_ended_the_session(
    tmp_path: Path, lang: str
) -> None:
    """By the title of the settings: of the issuer in the address, or the only one that there is."""
    sender = Sender()
    members = 'title = "your <company>"\n'
    async with issuer_settings(tmp_path, sender, members) as given, running(given) as hub:
        why = f"/signed-out?lang={lang}&reason="
        for by in ("", "&by=", f"&by={sender.iss}"):
            answer = await hub.call("GET", f"{why}identity_provider{by}")
            assert "your &lt;company&gt;" in answer.body
        for other in ("identity_provider&by=https://other.example", "user"):
            answer = await hub.call("GET", why + other)
            assert "company&gt;" not in answer.body
            assert "$" not in answer.body
