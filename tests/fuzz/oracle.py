"""The one oracle: all ways in say the same of a token, introspection too, and the hub is well."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from hub.api.form import FORM
from tests.fuzz.hub import FuzzedHub
from tests.site import ADMIN, token

KEY = base64.b64encode(b"a fuzzer's key!!").decode()
OPENED = {200, 204}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
TEXT, CLOSE, PING = 0x1, 0x8, 0x9


@dataclass(frozen=True)
class Response:
    """An answer over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """``ok``, or the error code of the problem that it is."""
        if self.status in OPENED:
            return "ok"
        assert self.headers["content-type"] == "application/problem+json", self
        problem = json.loads(self.body)
        assert problem["status"] == self.status
        return str(problem["code"])


def request(
    method: str,
    path: str,
    headers: list[tuple[bytes, bytes]] | None = None,
    body: bytes = b"",
    content_type: bytes = b"application/json",
) -> bytes:
    """Return a request, whatever its headers are; its connection ends after it."""
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: hub", b"Connection: close"]
    lines += [name + b": " + value for name, value in headers or []]
    if body:
        lines += [b"Content-Type: " + content_type, b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*lines, b"", body])


def read_response(data: bytes) -> Response:
    """Return the first answer in what came back; leave to go on sending is none."""
    head, _, body = data.removeprefix(CONTINUE).partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)
    }
    return Response(int(first.split()[1]), headers, body)


def bearer(text: str) -> list[tuple[bytes, bytes]]:
    """Return the header that carries a token."""
    return [(b"Authorization", b"Bearer " + text.encode())]


def ask(hub: FuzzedHub, path: str, text: str) -> Response:
    """Return the answer to a GET with a token."""
    return read_response(hub.exchange(request("GET", path, bearer(text))))


def upgrade_request() -> bytes:
    """Return the request for a WebSocket."""
    headers = [
        (b"Sec-WebSocket-Version", b"13"),
        (b"Sec-WebSocket-Key", KEY.encode()),
        (b"Upgrade", b"websocket"),
    ]
    whole = request("GET", "/socket.io/?EIO=4&transport=websocket", headers)
    return whole.replace(b"Connection: close", b"Connection: Upgrade")


def encode_frame(
    kind: int, payload: bytes, *, final: bool = True, masked: bool = True, reserved: int = 0
) -> bytes:
    """Return a frame as a client sends it, or as none should."""
    size = len(payload)
    first = bytes(((0x80 if final else 0) | (reserved << 4) | kind,))
    bit = 0x80 if masked else 0
    if size < 126:
        length = bytes((bit | size,))
    elif size < 65536:
        length = bytes((bit | 126,)) + size.to_bytes(2, "big")
    else:
        length = bytes((bit | 127,)) + size.to_bytes(8, "big")
    mask = os.urandom(4) if masked else b""
    if masked:
        payload = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return first + length + mask + payload


def text_frame(text: str) -> bytes:
    """Return a text frame."""
    return encode_frame(TEXT, text.encode("utf-8", "surrogatepass"))


def open_websocket(line: socket.socket) -> bytearray:
    """Upgrade a connection; return what came after the answer."""
    line.sendall(upgrade_request())
    heard = bytearray()
    while b"\r\n\r\n" not in heard:
        more = line.recv(65536)
        assert more, bytes(heard)
        heard += more
    head, _, rest = bytes(heard).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101"), head
    digest = hashlib.sha1(f"{KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode())  # noqa: S324
    assert base64.b64encode(digest.digest()) in head
    return bytearray(rest)


def read_frames(data: bytes) -> list[tuple[int, bytes]]:
    """Return the whole frames of a server in what came: kind and payload."""
    found, place = [], 0
    while len(data) - place >= 2:
        kind, size = data[place] & 15, data[place + 1]
        assert size < 128, "a server's frame is masked"
        begin = place + 2
        if size == 126:
            begin, size = begin + 2, int.from_bytes(data[begin : begin + 2], "big")
        elif size == 127:
            begin, size = begin + 8, int.from_bytes(data[begin : begin + 8], "big")
        if len(data) < begin + size:
            break
        found.append((kind, data[begin : begin + size]))
        place = begin + size
    return found


def connect(hub: FuzzedHub, auth: Any) -> str:
    """Return what a socket's CONNECT comes to: ``ok``, an error code, or ``closed``."""
    with hub.line() as line:
        heard = open_websocket(line)
        line.sendall(text_frame("40" + json.dumps(auth)))
        while True:
            for kind, payload in read_frames(bytes(heard)):
                if kind == TEXT and payload.startswith(b"44"):
                    return str(json.loads(payload[2:])["data"]["code"])
                if kind == TEXT and payload.startswith(b"40"):
                    return "ok"
                if kind == CLOSE:
                    return "closed"
            more = line.recv(65536)
            if not more:
                return "closed"
            heard += more


def verdicts(hub: FuzzedHub, text: str) -> dict[str, str]:
    """Return what each way in says of a token.

    ``/session`` is asked before the socket, since both enter the session in the registry.
    """
    return {
        "verify": ask(hub, "/verify", text).code,
        "session": ask(hub, "/session", text).code,
        "socket": connect(hub, {"token": text}),
    }


def is_active(hub: FuzzedHub, text: str) -> bool:
    """Return what introspection says of a token."""
    body = b"token=" + quote_plus(text, errors="replace").encode()
    sent = request("POST", "/introspect", bearer(ADMIN), body, FORM.encode())
    response = read_response(hub.exchange(sent))
    assert response.status == 200, response
    told = json.loads(response.body)
    assert told["active"] or told == {"active": False}
    return bool(told["active"])


def check_same(hub: FuzzedHub, text: str) -> str:
    """Return the verdict on a token, on which all ways in must agree."""
    found = verdicts(hub, text)
    assert len(set(found.values())) == 1, found
    (verdict,) = set(found.values())
    assert verdict not in ("closed", "unavailable"), found
    assert text == "" or is_active(hub, text) is (verdict == "ok")
    return verdict


def check_well(hub: FuzzedHub) -> None:
    """Hold a hub to serving somebody else, and to agreeing about good and bad tokens."""
    assert check_same(hub, token("grace", "well")) == "ok"
    assert check_same(hub, token("grace", "well")[:-4] + "AAAA") == "token_invalid"
