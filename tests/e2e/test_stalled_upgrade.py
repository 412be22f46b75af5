"""Networks that pass a request for a WebSocket on, and nothing after it."""

from __future__ import annotations

from typing import Literal

import pytest

from hub.realtime import probe
from hub.realtime.engine_session import EngineSession
from hub.realtime.websocket import WebSocket
from tests.e2e.line import line_to
from tests.e2e.people import stock_client
from tests.realtime.raw import eventually
from tests.site import running, settings, token


@pytest.mark.parametrize("unheard", ["client", "hub"])
async def test_a_stock_client_stays_connected_by_polling(
    unheard: Literal["client", "hub"], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It connects once, is answered, and is told of a logout, whichever side is not heard."""
    monkeypatch.setattr(probe, "PROBE_TIMEOUT", 2.0)
    probed: list[EngineSession] = []
    begin_probe = EngineSession.begin_probe

    def note(session: EngineSession, websocket: WebSocket) -> None:
        probed.append(session)
        begin_probe(session, websocket)

    monkeypatch.setattr(EngineSession, "begin_probe", note)
    async with running(settings()) as hub, line_to(hub.port) as line:
        line.unheard = unheard
        async with stock_client(hub.beside(line.port), token("ada")) as person:
            assert await person.diary.wait("connect") == "polling"
            await eventually(lambda: len(probed) == 1)
            await eventually(lambda: probed[0].probe is None)
            assert probed[0].closing is None
            assert "error" not in await person.emit("logout", {"reason": "user"})
            await person.diary.wait("notified")
        assert len(person.diary.all("connect")) == 1
    assert len(probed) == 1
