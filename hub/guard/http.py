"""HTTP calls with the standard library: one request, one answer of limited size, no redirects."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from urllib.parse import SplitResult, urlsplit

import msgspec

CONNECT_TIMEOUT = 2.0
MAX_BODY_BYTES = 1_000_000
CHUNK_BYTES = 65536

FAILURES = (OSError, http.client.HTTPException, ValueError)
"""The errors that a call may raise."""


class Answer(msgspec.Struct, frozen=True):
    """A complete answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def check_url(url: str) -> str:
    """Return the address of a hub, without a trailing slash.

    Raises:
        ValueError: if it is not one.
    """
    parts = urlsplit(url)
    is_plain = not parts.query and not parts.fragment and not parts.username
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_plain:
        raise ValueError(f"{url!r} is not an address like https://hub.example")
    _ = parts.port  # raises ValueError if it is not a port
    return url.rstrip("/")


@contextlib.contextmanager
def connected(
    url: str, tls: ssl.SSLContext | None, timeout: float = CONNECT_TIMEOUT
) -> Iterator[http.client.HTTPConnection]:
    """Connect to the server of an address for the duration of the context.

    Raises:
        OSError: if it cannot be reached, or its certificate is not valid.
    """
    connection = _connection(urlsplit(url), tls, timeout)
    try:
        connection.connect()
        with contextlib.suppress(OSError):
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def bounded(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
    """Close a connection if the context takes too long: a socket timeout allows slow trickles."""
    cutting = threading.Timer(seconds, _cut, (connection.sock,))
    cutting.daemon = True
    cutting.start()
    try:
        yield
    finally:
        cutting.cancel()


def _cut(opened: socket.socket) -> None:
    with contextlib.suppress(OSError):
        opened.shutdown(socket.SHUT_RDWR)


def _connection(
    parts: SplitResult, tls: ssl.SSLContext | None, timeout: float
) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = tls or ssl.create_default_context()
        return http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)
    return http.client.HTTPConnection(host, parts.port, timeout=timeout)


def call(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    tls: ssl.SSLContext | None = None,
    timeout: float = CONNECT_TIMEOUT,
) -> Answer:
    """Send a request and return its answer, whatever its status, all within ``timeout`` seconds.

    Raises:
        OSError, HTTPException, ValueError: when there is no answer, or it is larger than 1 MB.
    """
    deadline = time.monotonic() + timeout
    with connected(url, tls, timeout) as connection, bounded(connection, timeout):
        connection.request(method, _target(url), body, dict(headers or {}))
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, _read(response, deadline))


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _read(response: http.client.HTTPResponse, deadline: float) -> bytes:
    body = bytearray()
    while chunk := response.read1(CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ValueError("larger than 1 MB")
    if time.monotonic() > deadline:
        raise TimeoutError("the answer took too long")
    return bytes(body)
