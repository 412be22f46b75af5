"""What is noted about streams."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from hub.access.stream_notes import MAX_ASKED, Kind, StreamNotes
from hub.core.model import SECOND
from hub.core.tokens import Rules
from hub.core.transmitters import Access, Delivery, Transmitter
from hub.errors import Unavailable
from hub.store.memory import MemoryStore


def transmitter(aud: str = "a", *, has_access: bool = True) -> Transmitter:
    """Return the settings of a transmitter, whose API is called from here or not."""
    rules = Rules(
        algorithms=("RS256",), max_lifetime=0, issuer="https://tr.example", audience=(aud,)
    )
    return Transmitter(
        rules=rules,
        configuration_url="https://tr.example/c",
        delivery=Delivery.PUSH,
        issuer="i",
        subjects=("opaque",),
        access=Access(token="t") if has_access else Access(),
    )


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    """An embedded store."""
    async with MemoryStore(lifetime=3600 * SECOND) as made:
        yield made


async def test_many_notes_are_written_at_once(store: MemoryStore) -> None:
    """The newest of each kind, with how many there were, for each transmitter on its own."""
    notes = StreamNotes(store)
    now = round(time.time() * SECOND)
    for age in (30, 20, 10):
        notes.accepted(transmitter(), now - age * SECOND)
    notes.refused(transmitter(), "invalid_key", "x" * 2000)
    notes.updated(transmitter("b"), "paused", "maintenance")
    assert await notes.read(transmitter()) == {}
    await notes.write()
    found = await notes.read(transmitter())
    assert {kind: note.times for kind, note in found.items()} == {Kind.ACCEPTED: 3, Kind.REFUSED: 1}
    assert 10 <= float(found[Kind.ACCEPTED].text) < 20
    assert len(found[Kind.REFUSED].text) == 500
    assert (await notes.read(transmitter("b")))[Kind.STATUS].text == "paused: maintenance"


async def test_what_cannot_be_stored_or_shown_is_noted_without_it(store: MemoryStore) -> None:
    """A transmitter may write half a character in JSON, which Redis does not take, or controls."""
    notes = StreamNotes(store)
    notes.updated(transmitter(), "paused\ud800", "a\udfff\x1b[31mb")
    await notes.write()
    await notes.verified(transmitter(has_access=False), "\ud800")
    found = await notes.read(transmitter())
    assert found[Kind.STATUS].text == "paused?: a??[31mb"
    assert found[Kind.VERIFIED].text == "?"


async def test_a_verification_is_expected_when_it_was_asked_for(store: MemoryStore) -> None:
    """Another replica may have asked; one without a state is the transmitter's own."""
    asked, got = StreamNotes(store), StreamNotes(store)
    assert not await got.verified(transmitter(), "s")
    assert Kind.UNEXPECTED in await got.read(transmitter())
    await asked.ask(transmitter(), "s")
    assert not await got.verified(transmitter(), "t")
    assert not await got.verified(transmitter("b"), "s")
    assert Kind.VERIFIED not in await got.read(transmitter())
    assert await got.verified(transmitter(), "s")
    assert (await got.read(transmitter()))[Kind.VERIFIED].text == "s"
    assert await got.verified(transmitter(), None)
    assert (await got.read(transmitter()))[Kind.VERIFIED].text == ""


async def test_a_verification_may_come_after_another_was_asked_for(store: MemoryStore) -> None:
    """The last few are expected, in any order and more than once; none that is older."""
    notes = StreamNotes(store)
    states = [f"s{n}" for n in range(MAX_ASKED + 1)]
    for state in states:
        await notes.ask(transmitter(), state)
    expected = [await notes.verified(transmitter(), state) for state in [*states, *states]]
    assert expected == 2 * [False, *[True] * MAX_ASKED]
    for odd in ("", " ", "s1 s2", f"{states[-1]} {states[-2]}"):
        assert not await notes.verified(transmitter(), odd)


async def test_others_may_ask_for_verifications_where_the_hub_does_not(store: MemoryStore) -> None:
    """Any state is as expected from a transmitter whose API is not called from here."""
    notes = StreamNotes(store)
    assert await notes.verified(transmitter(has_access=False), "anything")
    assert (await notes.read(transmitter()))[Kind.VERIFIED].text == "anything"


async def test_a_store_that_is_down_loses_notes_and_no_more(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is raised for them, except where a verification is answered with success."""

    async def refuse(*_: object, **__: object) -> None:
        raise Unavailable("down")

    notes = StreamNotes(store)
    notes.updated(transmitter(), "paused")
    monkeypatch.setattr(store, "note", refuse)
    await notes.write()
    with pytest.raises(Unavailable):
        await notes.verified(transmitter(), None)
    monkeypatch.undo()
    await notes.write()
    assert await notes.read(transmitter()) == {}
