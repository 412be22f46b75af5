"""The page that says why somebody was signed out."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from hub.core.model import Reason
from hub.pages.documents import cases
from hub.pages.signed_out import FILE, GENERAL
from tests.site import Answer, Replica, running, settings


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
