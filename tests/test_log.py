"""Log lines hold what happened, and no secret."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from hub.log import configure_logs
from tests.site import running, settings, token

THREADS = """
import threading
import structlog
from hub.log import configure_logs

def write() -> None:
    for _ in range(5_000):
        log.info("logout", text="a" * 1_500 + "b")
    print("done\\n", end="")

configure_logs("text")
log = structlog.get_logger("hub.test")
for _ in range(4):
    threading.Thread(target=write).start()
"""
"""A program whose threads write lines of two pieces each."""


def fail_with(secret: str, message: str = "a bug") -> None:
    """Log an error while a secret stands in a local variable."""
    try:
        raise RuntimeError(message)
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


def test_a_text_line_says_when_how_bad_what_by_whom_and_the_facts_in_order(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Facts are sorted; one that is not a single word is quoted."""
    configure_logs("text")
    structlog.get_logger("hub.test").info("logout", user="ada", n=2, device="My Phone", sid=None)
    when, _, rest = capsys.readouterr().err.partition(" ")
    assert when.endswith("Z")
    words = " ".join(rest.split())
    assert words == "[info ] logout [hub.test] device='My Phone' n=2 sid=None user=ada"


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize(
    "text", ["a\nb", "a\r[error] b", "\x1b[2J", "a\u2028b", "a\u202eb", "a\x7fb", "'\""]
)
def test_what_others_send_cannot_break_out_of_its_line(
    style: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Line breaks, escape sequences and changes of direction are escaped, in facts and events."""
    configure_logs(style)  # type: ignore[arg-type]
    structlog.get_logger("hub.test").info("logout", user=text)
    logging.getLogger("library").warning("it says %s", text)
    written = capsys.readouterr().err
    lines = written.removesuffix("\n").split("\n")
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


class Several:
    """An object that Python writes on several lines, as aiohttp's response of a client."""

    def __repr__(self) -> str:
        return "<Several>\n\x1b[2J"


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize("value", [Several(), [Several()]])
def test_an_object_cannot_break_out_of_its_line(
    style: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """However Python writes it, alone or inside another."""
    configure_logs(style)  # type: ignore[arg-type]
    structlog.get_logger("hub.test").info("logout", answer=value)
    assert capsys.readouterr().err.removesuffix("\n").isprintable()


def test_no_traceback_contains_what_a_terminal_acts_on(capsys: pytest.CaptureFixture[str]) -> None:
    """An exception may quote what others sent."""
    configure_logs("text")
    fail_with("", "a\x1b[2Jb\nc")
    lines = capsys.readouterr().err.removesuffix("\n").split("\n")
    assert all(line.isprintable() for line in lines)
    assert "2Jb" in lines[-2]
    assert lines[-1] == "c"


@pytest.mark.parametrize("style", ["text", "json"])
def test_no_line_fails_when_standard_error_is_closed(
    style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads it then."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr("sys.stderr", closed)
    configure_logs(style)  # type: ignore[arg-type]
    structlog.get_logger("hub.test").info("logout")


def test_threads_write_lines_at_the_same_time(tmp_path: Path) -> None:
    """Each line is written, and whole."""
    program, log = tmp_path / "threads.py", tmp_path / "log"
    program.write_text(THREADS)
    with log.open("w") as file:  # which takes everything, as a pipe would not
        ended = subprocess.run([sys.executable, program], stdout=subprocess.PIPE, stderr=file)
    assert ended.stdout == b"done\n" * 4
    lines = log.read_text().splitlines()
    assert len(lines) == 4 * 5_000
    assert all(line.endswith("b") for line in lines)


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
