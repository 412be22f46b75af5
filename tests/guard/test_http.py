"""A server that sends a byte now and then keeps no thread of a guard for ever."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from hub.guard import SyncGuard, feed_reader
from hub.guard.http import FAILURES, call
from tests.patience import PATIENCE
from tests.site import SECRET


class Dripping:
    """Answers each request with some text and then a letter now and then; counts them."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.is_over = threading.Event()
        self.twice = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        """Answer until the listener is closed."""
        for times in range(100):
            try:
                opened, _ = self._listener.accept()
            except OSError:
                return
            if times:
                self.twice.set()
            threading.Thread(target=self._drip, args=(opened,), daemon=True).start()

    def _drip(self, opened: socket.socket) -> None:
        with opened, contextlib.suppress(OSError):
            opened.recv(9999)
            opened.sendall(self.text)
            while not self.is_over.wait(0.02):
                opened.sendall(b"a")

    def close(self) -> None:
        """Stop."""
        self.is_over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture(
    params=[b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["head", "body"]
)
def server(request: pytest.FixtureRequest) -> Iterator[Dripping]:
    """One whose headers never end, and one whose body does not."""
    made = Dripping(f"HTTP/1.1 200 OK\r\n{request.param}".encode())
    thread = threading.Thread(target=made.serve)
    thread.start()
    yield made
    made.close()
    thread.join()


def test_a_call_ends_in_time(server: Dripping) -> None:
    """Although each byte comes soon after the last."""
    ended = threading.Event()

    def ask() -> None:
        with pytest.raises(FAILURES):
            call("GET", server.url, timeout=0.3)
        ended.set()

    threading.Thread(target=ask, daemon=True).start()
    assert ended.wait(PATIENCE / 4)


def test_another_replica_is_tried_for_a_feed_that_does_not_begin(
    server: Dripping, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the guard can be closed."""
    monkeypatch.setattr(feed_reader, "FIRST_SILENCE", 0.3)
    with SyncGuard(server.url, token="t", secret=SECRET, start_timeout=0.0):
        assert server.twice.wait(PATIENCE / 4)
