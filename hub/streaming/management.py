"""Event streams as the command sees them: what the transmitter says, and what the hub noted."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hub.access.stream_notes import Kind, StreamNotes
from hub.access.transmitter import (
    POLL,
    PUSH,
    Status,
    Stream,
    StreamStatus,
    TransmitterClient,
    choose_own,
    find_own,
    has_access,
)
from hub.access.transmitter_calls import TransmitterFailed
from hub.core.event_types import EVENT_TYPES, STREAM_EVENTS
from hub.core.transmitters import Transmitter
from hub.store.base import Store
from hub.store.values import Note

EVENTS = tuple(
    kind.uris[0]
    for kind in EVENT_TYPES
    if kind.name not in STREAM_EVENTS and kind.uris[0].startswith("https:")
)
"""What is asked for when a stream is created: the events that the hub knows."""

LOOK_EVERY = 0.25


class Found(msgspec.Struct):
    """A stream and its status; None where the transmitter does not say."""

    stream: Stream
    status: StreamStatus | None = None


class Overview(msgspec.Struct):
    """What there is to know of a transmitter. ``problem`` says why its streams are not known.

    ``notes`` is None if there is no store that could be asked. ``is_managed`` unless the settings
    give no access to the transmitter's API.
    """

    transmitter: Transmitter
    is_managed: bool
    streams: list[Found] = []
    problem: str | None = None
    notes: Mapping[str, Note] | None = None


class Management:
    """Manages the streams of one transmitter; ``store`` is None if there is none to share."""

    def __init__(self, client: TransmitterClient, store: Store | None) -> None:
        self._client = client
        self._transmitter = client.transmitter
        self._notes = None if store is None else StreamNotes(store)

    async def look(self) -> Overview:
        """Return what there is to know.

        Raises:
            Unavailable: if the store does not answer.
        """
        overview = Overview(
            self._transmitter,
            is_managed=has_access(self._transmitter),
            notes=None if self._notes is None else await self._notes.read(self._transmitter),
        )
        if overview.is_managed:
            try:
                overview.streams = [await self._find_status(one) for one in await self._ours()]
            except TransmitterFailed as error:
                overview.problem = str(error)
        return overview

    async def _find_status(self, stream: Stream) -> Found:
        if (await self._client.configuration()).status_endpoint is None:
            return Found(stream)
        return Found(stream, await self._client.status(stream.stream_id))

    async def _ours(self) -> list[Stream]:
        """Return the streams that the settings mean, at least one; raises `TransmitterFailed`."""
        return choose_own(await self._client.streams(), self._transmitter)

    async def create(self, url: str | None, events: Sequence[str]) -> tuple[Stream, list[str]]:
        """Create a stream, and return it with what should be known about it.

        ``url`` is where events are pushed to, and None for polls.

        Raises:
            TransmitterFailed: if there is one already, or the transmitter refuses.
        """
        if existing := find_own(await self._client.streams(), self._transmitter):
            ids = ", ".join(one.stream_id for one in existing)
            raise TransmitterFailed(f"there is a stream already: {ids}")
        delivery = {"method": POLL} if url is None else {"method": PUSH, "endpoint_url": url}
        if url is not None and self._transmitter.authorization is not None:
            delivery["authorization_header"] = self._transmitter.authorization
        own = (name for name in self._transmitter.reactions if name.startswith("https:"))
        stream = await self._client.create(delivery, list(events) or [*EVENTS, *own])
        return stream, await self._warn(stream)

    async def _warn(self, stream: Stream) -> list[str]:
        warnings = []
        told = stream.audience
        if told and not {*told} & {*(self._transmitter.rules.audience or told)}:
            warnings.append(f"its events are for {', '.join(told)}: write that in aud")
        if (await self._client.configuration()).default_subjects == "NONE":
            warnings.append(
                "it sends events only about subjects that are added to the stream, which the hub "
                "does not do"
            )
        return warnings

    async def change(self, stream_id: str | None, status: Status) -> Stream:
        """Change the status of a stream, and return the stream; raises `TransmitterFailed`."""
        stream = await self.choose(stream_id)
        await self._client.change_status(stream.stream_id, status)
        return stream

    async def delete(self, stream_id: str | None) -> Stream:
        """Delete a stream, and return what it was; raises `TransmitterFailed`."""
        stream = await self.choose(stream_id)
        await self._client.delete(stream.stream_id)
        return stream

    async def choose(self, stream_id: str | None) -> Stream:
        """Return the stream with an id, or the only one.

        Raises:
            TransmitterFailed: if there is none, or several and no id.
        """
        found = await self._ours()
        chosen = [one for one in found if stream_id in (None, one.stream_id)]
        if len(chosen) == 1:
            return chosen[0]
        ids = ", ".join(one.stream_id for one in found)
        what = "name one by --stream" if stream_id is None else f"none is {stream_id}"
        raise TransmitterFailed(f"there are the streams {ids}: {what}")

    async def verify(self, stream_id: str | None, seconds: float) -> tuple[float | None, str]:
        """Have the transmitter send a verification event, and wait until a hub got it.

        Returns after how many seconds it came (by the store's clock), or None and what is missing.

        Raises:
            TransmitterFailed: if the transmitter refuses.
            Unavailable: if the store does not answer.
        """
        assert self._notes is not None, "the state that is expected is kept in the store"
        stream, state = await self.choose(stream_id), secrets.token_urlsafe(24)
        await self._notes.ask(self._transmitter, state)
        asked = (await self._notes.read(self._transmitter))[Kind.ASKED]
        await self._client.verify(stream.stream_id, state)
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            notes = await self._notes.read(self._transmitter)
            verified = notes.get(Kind.VERIFIED)
            if verified is not None and verified.text == state:
                return (verified.at - asked.at) / 1e6, ""
            if asyncio.get_running_loop().time() >= deadline:
                return None, self._explain(stream, asked, notes)
            await asyncio.sleep(LOOK_EVERY)

    def _explain(self, stream: Stream, asked: Note, notes: Mapping[str, Note]) -> str:
        """Return why a verification event did not come, as far as the notes say."""
        newer = {kind: note.text for kind, note in notes.items() if note.at >= asked.at}
        if Kind.REFUSED in newer:
            return f"the hub refused an event ({newer[Kind.REFUSED]})"
        if Kind.UNEXPECTED in newer:
            return "a verification event came with another state"
        if Kind.ACCEPTED in newer:
            return "other events came"
        if not stream.delivery.is_poll:
            return (
                f"nothing came: does the transmitter reach {stream.delivery.endpoint_url}, and "
                "with which answer?"
            )
        if Kind.FAILED in newer and Kind.POLLED not in newer:
            return f"the hub cannot poll ({newer[Kind.FAILED]})"
        if Kind.POLLED not in newer:
            return "no hub polls: does one run with these settings?"
        return "the hub polls, and the transmitter sent nothing"


def describe(overview: Overview) -> dict[str, Any]:
    """Return an overview for programs; times are in seconds since the epoch."""
    transmitter = overview.transmitter
    return {
        "transmitter": transmitter.iss,
        "audience": list(transmitter.rules.audience or ()),
        "delivery": transmitter.delivery.value,
        "managed": overview.is_managed,
        "problem": overview.problem,
        "streams": [
            {
                "id": found.stream.stream_id,
                "url": found.stream.delivery.endpoint_url,
                "events": found.stream.events_delivered,
                "status": None if found.status is None else found.status.status,
                "reason": None if found.status is None else found.status.reason,
            }
            for found in overview.streams
        ],
        "notes": None
        if overview.notes is None
        else {
            kind: {"text": note.text, "at": note.at / 1e6, "times": note.times}
            for kind, note in overview.notes.items()
        },
    }
