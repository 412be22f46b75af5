"""Log lines hold what happened, and no secret."""

from __future__ import annotations

import asyncio
import json

import pytest
import structlog

from hub.log import configure_logs
from tests.site import running, settings, token


def fail_with(secret: str) -> None:
    """Log an error while a secret stands in a local variable."""
    try:
        raise RuntimeError("a bug")
    except RuntimeError:
        structlog.get_logger("hub.test").exception("it failed", path="/logout")


@pytest.mark.parametrize("style", ["text", "json"])
def test_tracebacks_hold_no_local_variables(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An error is logged with where it happened, not with what was in the variables there."""
    configure_logs(style)  # type: ignore[arg-type]
    fail_with("tell-nobody-of-this")
    written = capsys.readouterr().err
    assert "a bug" in written
    assert "fail_with" in written
    assert "tell-nobody" not in written
    if style == "json":
        line = json.loads(written)
        assert (line["event"], line["level"], line["path"]) == ("it failed", "error", "/logout")


@pytest.mark.parametrize("style", ["text", "json"])
async def test_a_request_that_cannot_be_parsed_is_not_quoted(
    style: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A token in a malformed header does not end up in the log."""
    configure_logs(style)  # type: ignore[arg-type]
    mine = token("ada")
    async with running(settings()) as hub:
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        head = f"GET /session HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {mine}\x01\r\n\r\n"
        writer.write(head.encode())
        assert b" 400 " in await reader.readline()
        writer.close()
        await writer.wait_closed()
    assert mine[:20] not in capsys.readouterr().err
