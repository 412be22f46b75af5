"""Engine.IO over HTTP long-polling: GET requests fetch packets, POST requests deliver them."""

from __future__ import annotations

import asyncio

from aiohttp import web

from hub.aiohttp_internals import connection_of
from hub.errors import RateLimited
from hub.protocol.engineio import (
    CloseReason,
    ProtocolError,
    Refusal,
    join_payload,
    split_payload,
)
from hub.protocol.frames import GOING_AWAY
from hub.realtime.engine_session import EngineSession


def refuse(refusal: Refusal) -> web.Response:
    """Return the response to a request that the engine refuses."""
    return web.json_response(refusal.body(), status=400)


def charge_request(session: EngineSession) -> None:
    """Charge a request to the session's budget; closes the session if that is exhausted.

    Raises:
        RateLimited: if it was; ``retry_after`` is when the budget would have allowed the request.
    """
    if session.closing is not None:
        return
    now = asyncio.get_running_loop().time()
    wait = session.budget.wait(now)
    if wait:
        session.close(CloseReason.TRANSPORT_ERROR)
        raise RateLimited("the transport sends faster than the hub reads", retry_after=wait)
    session.budget.charge(now, 0)


async def fetch(request: web.Request, session: EngineSession) -> web.StreamResponse:
    """Answer a poll with the packets to send, as soon as there are any.

    Raises:
        ConnectionResetError: if the client aborted the poll.
    """
    if session.poll is not None:
        session.close(CloseReason.TRANSPORT_ERROR)
        return refuse(Refusal.BAD_REQUEST)
    session.resume()
    if not session.protocol.outgoing and session.closing is None:
        await _wait(request, session)
    if request.transport is None:
        # The client has disconnected, and packets in the answer would be lost without notice.
        session.close(CloseReason.TRANSPORT_CLOSED)
    if session.closing is not None and not session.has_websocket:
        session.forget()
        if session.closing == GOING_AWAY and not session.protocol.outgoing:
            # For clients a close packet is final, but an unknown session is a failure of the
            # transport, after which they connect again.
            return refuse(Refusal.UNKNOWN_SESSION)
    return web.Response(text=join_payload(session.protocol.take_outgoing()))


async def _wait(request: web.Request, session: EngineSession) -> None:
    poll = session.poll = asyncio.get_running_loop().create_future()
    # aiohttp reports the loss only when the handler writes, which may be at the next ping.
    connection = connection_of(request)
    connection.on_lost = session.abandon
    longest = session.longest_poll
    timer = None if longest is None else poll.get_loop().call_later(longest, session.answer_poll)
    try:
        is_answered = await poll
    finally:
        connection.on_lost = None
        if timer is not None:
            timer.cancel()
        if session.poll is poll:
            session.poll = None
    if not is_answered:
        raise ConnectionResetError("the client aborted its poll")


async def deliver(
    request: web.Request, session: EngineSession, seconds: float
) -> web.StreamResponse:
    """Take the packets in a request's body, which must arrive within a number of seconds.

    Raises:
        web.HTTPRequestEntityTooLarge: if it is larger than the application allows.
    """
    try:
        async with asyncio.timeout(seconds):
            packets = split_payload(await request.read())
        for packet in packets:
            session.budget.charge(asyncio.get_running_loop().time(), len(packet))
        for packet in packets:
            session.receive(packet)
    except (ProtocolError, TimeoutError):
        session.close(CloseReason.TRANSPORT_ERROR)
        return refuse(Refusal.BAD_REQUEST)
    except web.HTTPRequestEntityTooLarge:
        session.close(CloseReason.TRANSPORT_ERROR)
        raise
    return web.Response(text="ok")
