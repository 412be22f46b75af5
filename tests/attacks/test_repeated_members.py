"""A request with a repeated member is refused, so that no session is ended by the second one.

The bound: every body, payload and credential in JSON is refused as ``invalid_request``, at any
depth, and nothing is changed.
"""

from __future__ import annotations

import pytest

from hub.core.strict_json import find_repeated
from tests.realtime.raw import raw_socket
from tests.site import ADMIN, Replica, running, settings, token

BODIES = [
    b'{"scope": "session", "scope": "all"}',
    b'{"scope": "all", "scope": "all"}',
    b'{"message": "a", "scope": "session", "message": "b"}',
    rb'{"scope": "session", "\u0073cope": "all"}',
]


async def is_alive(hub: Replica, mine: str) -> bool:
    """Tell whether a token is still accepted."""
    return (await hub.call("GET", "/verify", mine)).status == 204


@pytest.mark.parametrize("body", BODIES)
async def test_a_body_that_repeats_a_member_ends_nothing(body: bytes) -> None:
    """A body with a repeated member is refused, since parsers differ in which one counts."""
    async with running(settings()) as hub:
        mine = token("ada")
        answer = await hub.call("POST", "/logout", mine, data=body)
        assert (answer.status, answer.code) == (400, "invalid_request")
        assert "repeated" in answer.body["detail"]
        admin = b'{"user": "eve", "reason": "admin", "user": "ada"}'
        answer = await hub.call("POST", "/admin/logout", ADMIN, data=admin)
        assert (answer.status, answer.code) == (400, "invalid_request")
        assert await is_alive(hub, mine)


@pytest.mark.parametrize("body", BODIES)
async def test_an_event_that_repeats_a_member_ends_nothing(body: bytes) -> None:
    """An event with a repeated member is refused as over HTTP."""
    async with running(settings()) as hub:
        mine = token("ada")
        async with raw_socket(hub) as raw:
            assert str(await raw.connect(mine)).startswith("40{")
            await raw.send(f'427["logout",{body.decode()}]')
            answer = str(await raw.receive())
            assert answer.startswith("437[")
            assert '"invalid_request"' in answer
            assert await is_alive(hub, mine)


async def test_credentials_that_repeat_a_member_are_refused() -> None:
    """A CONNECT with two tokens is refused."""
    async with running(settings()) as hub, raw_socket(hub) as raw:
        await raw.send(f'40{{"token":"{token("eve")}","token":"{token("ada")}"}}')
        assert '"invalid_request"' in str(await raw.receive())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b'{"a": 1, "b": 2}', None),
        (b'[{"a": 1}, {"a": 2}]', None),
        (b'{"a": {"b": 1, "b": 2}}', "b"),
        (b'[[{"a": {"x": 1}, "a": 2}]]', "a"),
        (b'{"": 1, "": 2}', ""),
    ],
)
def test_members_are_looked_for_at_any_depth(text: bytes, name: str | None) -> None:
    """Two objects in a list may have the same members; one object may not repeat any."""
    assert find_repeated(text) == name
