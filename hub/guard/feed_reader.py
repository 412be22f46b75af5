"""The thread that follows the feed of a hub, with the standard library.

It reconnects forever, with ``Last-Event-ID`` and growing pauses, trying the hub's addresses one
after another. The hub confirms once a second, so a connection that is silent for `SILENCE` seconds
is given up. The first confirmation may take longer, since the hub serves new guards in turn.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import random
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from urllib.parse import urlsplit

from hub.guard.clock import clock
from hub.guard.event_stream import EventStream
from hub.guard.feed_state import FeedState, Update
from hub.guard.http import CHUNK_BYTES, FAILURES, bounded, connected

log = logging.getLogger("logout_hub.guard")

SILENCE = 3.0
FIRST_SILENCE = 15.0
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
STOP_TIMEOUT = 5.0
INFLATED_BYTES = 1_000_000
GZIP = 16 + zlib.MAX_WBITS

REFUSALS = {
    401: "it refuses this guard's token: is that the hub's HUB_GUARD_TOKEN?",
    403: "this guard's token may not read the feed",
    404: "it has no feed for guards: is this the address of a hub, and of a recent version?",
}


class FeedRefused(Exception):
    """The hub answered, but refused its feed."""


class FeedReader:
    """Keeps ``state`` up to date from `start` until `stop`.

    In the reader's thread, ``on_update`` is called with the result of each event, and ``on_step``
    after each event and each failure. ``settled`` completes when the feed is ready or refused, or
    the reader is stopped. ``trouble`` says why there is currently no feed.
    """

    def __init__(
        self,
        urls: Sequence[str],
        token: str,
        state: FeedState,
        *,
        tls: ssl.SSLContext | None = None,
        on_update: Callable[[Update], None],
        on_step: Callable[[], None],
    ) -> None:
        self.settled: Future[None] = Future()
        self.trouble: str | None = "not connected yet"
        self.connects = 0
        self._urls = tuple(urls)
        self._token = token
        self._state = state
        self._tls = tls
        self._on_update = on_update
        self._on_step = on_step
        self._stopped = threading.Event()
        self._socket: socket.socket | None = None
        self._pause = FIRST_PAUSE
        self._confirmed_at = float("inf")
        self._thread = threading.Thread(target=self._run, name="logout-hub-feed", daemon=True)

    def start(self) -> None:
        """Start following the feed."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and wait for it to end."""
        self._stopped.set()
        if (opened := self._socket) is not None:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(STOP_TIMEOUT)

    def disown(self) -> None:
        """Close this process's copy of the connection, in one that was forked off.

        Else the hub would go on sending to it once the parent has given it up.
        """
        if (inherited := self._socket) is not None:
            with contextlib.suppress(OSError):
                # The thread that reads from it does not exist in the fork, and cannot close it.
                os.close(inherited.detach())

    def _run(self) -> None:
        attempt = random.randrange(len(self._urls))  # noqa: S311 - spreads guards over replicas
        while not self._stopped.is_set():
            url = self._urls[attempt % len(self._urls)]
            try:
                self._follow(url)
            except FeedRefused as error:
                self._report(url, str(error))
                self._settle()
            except (*FAILURES, zlib.error) as error:
                self._report(url, str(error) or type(error).__name__)
            except Exception:
                if not self._stopped.is_set():  # otherwise, closing the socket caused it
                    log.exception("the feed of %s could not be read", url)
            attempt += 1
            self._on_step()
            self._stopped.wait(self._pause * random.uniform(0.1, 1))  # noqa: S311 - as above
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._settle()

    def _report(self, url: str, trouble: str) -> None:
        if self._stopped.is_set():
            return
        level = logging.DEBUG if self.trouble == trouble else logging.WARNING
        log.log(level, "no feed of revocations from %s: %s", url, trouble)
        self.trouble = trouble

    def _settle(self) -> None:
        if not self.settled.done():
            self.settled.set_result(None)

    def _follow(self, url: str) -> None:
        """Follow the feed until the hub ends the response."""
        with connected(url, self._tls) as connection:
            self._socket = connection.sock
            if self._stopped.is_set():
                return
            try:
                # Not before connecting, which takes time, but before sending: see `hub.core.feed`.
                last_id = self._state.begin(clock())
                with bounded(connection, FIRST_SILENCE):
                    response = self._request(connection, url, last_id)
                self._state.answer(clock())
                self._socket.settimeout(FIRST_SILENCE)
                self.connects += 1
                self._confirmed_at = float("inf")
                stream = EventStream(last_id)
                for chunk in self._chunks(response):
                    for event in stream.feed(chunk):
                        if self._stopped.is_set():
                            return  # the next reader may go on already
                        self._take(self._state.take(event, clock()))
                        if event.kind in ("ready", "confirmed"):
                            self._note_confirmation(url)
                            self._socket.settimeout(SILENCE)
                    if clock() - self._confirmed_at > SILENCE:
                        raise TimeoutError(f"not confirmed for {SILENCE:.0f} s")
                if self._confirmed_at == float("inf"):
                    raise OSError("it ended before it had confirmed anything")
                # Not all guards at once: the replica may be shutting down.
                self._pause = FIRST_PAUSE if stream.retry is None else stream.retry
            finally:
                self._socket = None

    def _request(
        self, connection: http.client.HTTPConnection, url: str, last_id: str
    ) -> http.client.HTTPResponse:
        headers = {
            "Accept": "text/event-stream",
            "Accept-Encoding": "gzip",
            "Authorization": f"Bearer {self._token}",
            "Cache-Control": "no-cache",
        }
        if last_id:
            headers["Last-Event-ID"] = last_id
        connection.request("GET", urlsplit(url).path + "/revocations", headers=headers)
        response = connection.getresponse()
        kind = response.getheader("Content-Type", "").partition(";")[0].strip()
        if response.status != 200 or kind != "text/event-stream":
            if response.status in REFUSALS:
                raise FeedRefused(REFUSALS[response.status])
            raise OSError(f"it answered {response.status} {kind}".rstrip())
        return response

    def _chunks(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        """Yield the body, decompressed, in chunks of bounded size."""
        is_gzip = response.getheader("Content-Encoding", "identity").strip().lower() == "gzip"
        inflater = zlib.decompressobj(GZIP) if is_gzip else None
        while not self._stopped.is_set():
            chunk = response.read1(CHUNK_BYTES)
            if not chunk:
                return
            while inflater is not None and chunk:
                yield inflater.decompress(chunk, INFLATED_BYTES)
                chunk = inflater.unconsumed_tail
            if inflater is None:
                yield chunk

    def _take(self, update: Update) -> None:
        self._on_update(update)
        self._on_step()

    def _note_confirmation(self, url: str) -> None:
        self._confirmed_at, self._pause = clock(), FIRST_PAUSE
        if self._state.is_ready and self.trouble is not None:
            log.info("following the feed of revocations from %s", url)
            self.trouble = None
        if self._state.is_ready:
            self._settle()
