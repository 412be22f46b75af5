"""Log lines: structured, on standard error, as text for people or as JSON for machines."""

from __future__ import annotations

import contextlib
import logging
import re
import select
import sys
import threading
from typing import Literal

import structlog
from structlog.processors import ExceptionRenderer, JSONRenderer, format_exc_info
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

from hub.terminal import encode_json, escape

PIECE = 1024
"""Characters that are written at once: a pipe that is writable has room for them, whatever their
encoding (POSIX, PIPE_BUF on Linux: 4096 bytes)."""

RESET, BOLD, DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"
COLORS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
QUOTED = re.compile(r"[\s=\"']")


class _StandardError:
    """Standard error that never blocks or fails.

    A line that cannot be written (the disk is full, or its reader has died or does not read) is
    lost: what it reports has happened, and the request that caused it must still be answered.
    """

    lost = 0

    def __init__(self) -> None:
        self._poll: select.poll | None = None
        self._polled: int | None = None
        self._lock = threading.RLock()  # which `write` takes again when it reports lost lines

    def write(self, text: str) -> None:
        with self._lock:
            self._write(text)

    def _write(self, text: str) -> None:
        if self.lost and self._takes_more():
            lost, self.lost = self.lost, 0
            structlog.get_logger(__name__).warning("log lines were lost: nobody read them", n=lost)
        for start in range(0, len(text), PIECE):
            if not self._takes_more():
                self.lost += 1
                return
            with contextlib.suppress(OSError, ValueError):  # the latter when it is closed
                sys.stderr.write(text[start : start + PIECE])
                sys.stderr.flush()

    def flush(self) -> None:
        """There is nothing to flush: `write` does."""

    def isatty(self) -> bool:
        """Return whether standard error is a terminal."""
        try:
            return sys.stderr.isatty()
        except ValueError:  # it is closed
            return False

    def _takes_more(self) -> bool:
        """Return whether standard error accepts a write without blocking; True if unknown."""
        try:
            number = sys.stderr.fileno()
            if self._poll is None or number != self._polled:
                self._poll, self._polled = select.poll(), number
                self._poll.register(number, select.POLLOUT)
            return bool(self._poll.poll(0))
        except (OSError, ValueError, AttributeError):
            return True


_stderr = _StandardError()


class _Line:
    """Writes lines to standard error, for the logger of this name."""

    def __init__(self, name: str = "hub") -> None:
        self.name = name

    def write(self, line: str) -> None:
        _stderr.write(line + "\n")

    debug = info = warning = error = critical = exception = msg = write


class TextRenderer:
    """Renders a line as text: when, how bad, what, by whom, then the facts as ``name=value``.

    A line stays one line, whatever its facts contain, except for the traceback of an exception.
    structlog's renderer for terminals takes six times as long, at every logout.
    """

    def __init__(self, *, colors: bool) -> None:
        self._colors = colors

    def __call__(self, logger: WrappedLogger, method: str, line: EventDict) -> str:
        """Return the text."""
        when, level = line.pop("timestamp", ""), line.pop("level", method)
        event, name = escape(str(line.pop("event", ""))), line.pop("logger", "")
        exception, stack = line.pop("exception", None), line.pop("stack", None)
        facts = escape(" ".join([f"{key}={_quote(line[key])}" for key in sorted(line)]))
        if self._colors:
            color = COLORS.get(level, "")
            head = f"{DIM}{when}{RESET} [{color}{level:<9}{RESET}] {BOLD}{event:<30}{RESET}"
        else:
            head = f"{when} [{level:<9}] {event:<30}"
        text = f"{head} [{name}] {facts}".rstrip()
        more = "\n".join([str(part) for part in (stack, exception) if part])
        return "\n".join([text, *map(escape, more.split("\n"))]) if more else text


def _quote(value: object) -> str:
    """Return a fact as it is, if it is a word, or as Python writes it."""
    return value if isinstance(value, str) and not QUOTED.search(value) else repr(value)


def configure_logs(style: Literal["text", "json"], level: int = logging.INFO) -> None:
    """Send the hub's and its libraries' log lines to standard error in one form.

    Tracebacks do not show local variables, which may contain tokens.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = (
        [ExceptionRenderer(ExceptionDictTransformer(show_locals=False)), JSONRenderer(encode_json)]
        if style == "json"
        else [format_exc_info, TextRenderer(colors=_stderr.isatty())]
    )
    # The hub's own lines go straight to standard error: the way through the standard library, which
    # its libraries' lines take, costs five times as much, at every logout.
    # One list is changed in place, so that loggers which are cached already follow.
    processors: list[Processor] = structlog.get_config()["processors"]
    processors[:] = [*shared, *last]
    structlog.configure(
        processors=processors,
        logger_factory=_Line,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # Its errors quote the request that it could not parse, tokens and all.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
