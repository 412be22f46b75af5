"""A server that says what a test wants a hub to say: the feed, and answers to questions."""

from __future__ import annotations

import contextlib
import gzip
import io
import queue
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from hub.core.feed import Confirmation, Ready, Reset, Revocation, Snapshot

TOKEN = "a guard's token for tests"
LIFETIME = 30 * 86400
PROBLEM = "application/problem+json"


def problem(status: int, code: str, **members: Any) -> tuple[int, bytes]:
    """Return an answer with an error, as a hub's."""
    return status, msgspec.json.encode({"code": code, "status": status, "detail": code, **members})


class FeedServer:
    """Serves the facts of ``snapshot``, and then whatever is said.

    ``judge`` answers `/verify`: a status and a body. ``status`` is that of the feed. ``offset`` is
    how far the store's clock is from this machine's. With ``is_silent``, a feed ends at once.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.snapshot: list[Revocation] = []
        self.status = 200
        self.offset = 0.0
        self.late: dict[int, float] = {}
        self.partitions = 16
        self.is_ready = True
        self.is_silent = False
        self.encoding = "identity"
        self.requests: list[dict[str, str]] = []
        self.orders: list[Any] = []
        self.asked: list[str] = []
        self.judge: Callable[[str], tuple[int, bytes]] = lambda token: (204, b"")
        self._streams: set[Stream] = set()
        self._lock = threading.Lock()
        handler = type("Handler", (Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def now(self) -> float:
        """Return the store's time."""
        return time.time() + self.offset

    def logout(self, revocation: Revocation, place: str = "") -> None:
        """Tell of a logout, and that everything was told."""
        for stream in self._open():
            stream.say("logout", revocation, place)
        self.confirm()

    def say(self, kind: str, value: Any, place: str = "") -> None:
        """Say something on all streams."""
        for stream in self._open():
            stream.say(kind, value, place)

    def confirm(self) -> None:
        """Say on all streams that everything was told."""
        for stream in self._open():
            stream.confirm()

    def reset(self) -> None:
        """Begin anew on all streams."""
        for stream in self._open():
            stream.say("reset", Reset("for a test"))
            stream.greet()

    def cut(self) -> None:
        """End all streams."""
        for stream in self._open():
            stream.chunks.put(b"")

    def _open(self) -> list[Stream]:
        with self._lock:
            return list(self._streams)

    def admit(self, stream: Stream) -> None:
        """Keep a stream that was opened."""
        with self._lock:
            self._streams.add(stream)

    def dismiss(self, stream: Stream) -> None:
        """Forget a stream."""
        with self._lock:
            self._streams.discard(stream)

    def __enter__(self) -> FeedServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Stream:
    """One response of the feed."""

    def __init__(self, hub: FeedServer) -> None:
        self.chunks: queue.Queue[bytes] = queue.Queue()
        self._hub = hub
        self._asked_at = time.monotonic()

    def greet(self) -> None:
        """Tell what is in force."""
        self.say("snapshot", Snapshot(tuple(self._hub.snapshot)))
        if self._hub.is_ready:
            self.say(
                "ready",
                Ready(
                    at=self._hub.now(),
                    elapsed=time.monotonic() - self._asked_at,
                    partitions=self._hub.partitions,
                    lifetime=LIFETIME,
                    late=self._hub.late,
                ),
                "0-0",
            )

    def confirm(self) -> None:
        """Tell that everything was told."""
        elapsed = time.monotonic() - self._asked_at
        self.say("confirmed", Confirmation(self._hub.now(), elapsed, self._hub.late))

    def say(self, kind: str, value: Any, place: str = "") -> None:
        """Send an event."""
        lines = [b"event: " + kind.encode()]
        if place:
            lines.append(b"id: " + place.encode())
        lines.append(b"data: " + msgspec.json.encode(value))
        self.chunks.put(b"\n".join(lines) + b"\n\n")


class Handler(BaseHTTPRequestHandler):
    """Answers as a hub."""

    protocol_version = "HTTP/1.1"
    hub: FeedServer

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Serve the feed, or answer a question."""
        credential = self.headers["Authorization"].removeprefix("Bearer ")
        if self.path == "/verify":
            self.hub.asked.append(credential)
            self._answer(*self.hub.judge(credential))
            return
        self.hub.requests.append(dict(self.headers.items()))
        if self.hub.status != 200:
            self._answer(*problem(self.hub.status, "token_invalid"))
            return
        with contextlib.suppress(OSError):
            self._stream()

    def do_POST(self) -> None:
        """Take an order."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.hub.orders.append(msgspec.json.decode(body))
        self._answer(200, b"{}")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", PROBLEM if status >= 400 else "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        stream = Stream(self.hub)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Content-Encoding", self.hub.encoding)
        self.end_headers()
        if self.hub.is_silent:
            self.wfile.write(b"0\r\n\r\n")
            return
        if not self.headers.get("Last-Event-ID"):
            stream.greet()
        stream.confirm()
        self.hub.admit(stream)
        try:
            for chunk in self._encoded(stream):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        finally:
            self.hub.dismiss(stream)

    def _encoded(self, stream: Stream) -> Iterator[bytes]:
        buffer = io.BytesIO()
        zipped = gzip.GzipFile(fileobj=buffer, mode="wb")
        while chunk := stream.chunks.get():
            if self.hub.encoding == "gzip":
                zipped.write(chunk)
                zipped.flush()
                chunk = buffer.getvalue()
                buffer.seek(0)
                buffer.truncate()
            yield chunk
