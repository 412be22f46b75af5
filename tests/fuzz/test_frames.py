"""WebSocket frames and packets of every shape, before CONNECT and after it."""

from __future__ import annotations

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st

from hub.protocol import msgpack
from tests.fuzz.examples import examples
from tests.fuzz.hub import FuzzedHub, end, read_all
from tests.fuzz.oracle import (
    encode_frame,
    open_websocket,
    read_frames,
    read_response,
    request,
    text_frame,
)
from tests.fuzz.payloads import packets
from tests.site import token

OPCODES = st.one_of(st.sampled_from([0x0, 0x1, 0x2, 0x8, 0x9, 0xA]), st.integers(0, 15))
SIZES = st.sampled_from([0, 1, 124, 125, 126, 127, 128, 255, 256, 1000])
LARGE = st.sampled_from([65535, 65536, 70000])


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """A frame, well-formed or not, whole or cut off."""
    payload = draw(
        st.one_of(
            packets().map(lambda text: text.encode("utf-8", "surrogatepass")),
            st.binary(max_size=130),
            (SIZES if draw(st.integers(0, 15)) else LARGE).map(bytes),
        )
    )
    whole = encode_frame(
        draw(OPCODES),
        payload,
        final=draw(st.integers(0, 4)) > 0,
        masked=draw(st.integers(0, 9)) > 0,
        reserved=draw(st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2, 4, 7])),
    )
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.integers(0, 9)) == 0 else whole


@examples(60)
@given(
    before=st.sampled_from([None, "40{}", "40", "good", "good"]),
    said=st.lists(
        st.one_of(frames(), packets().map(text_frame), st.binary(max_size=40)), max_size=12
    ),
    at_once=st.booleans(),
)
def test_a_websocket_may_say_anything(
    hub: FuzzedHub, before: str | None, said: list[bytes], at_once: bool
) -> None:
    """Whatever frames come, the hub answers with frames of a server's and lets go of the socket."""
    with hub.line() as line:
        heard = open_websocket(line)
        if before is not None:
            auth = "40" + json.dumps({"token": token("ada", "s1")}) if before == "good" else before
            said = [text_frame(auth), *said]
        with contextlib.suppress(OSError):  # the hub ends a connection that breaks the protocol
            for data in [b"".join(said)] if at_once else said:
                line.sendall(data)
        end(line)
        answer = bytes(heard) + read_all(line)
    # A binary message before CONNECT is refused in binary: it may be a client that speaks msgpack.
    answer = answer.replace(msgpack.FRAMES, b"", 1)
    assert all(kind in (0x1, 0x8, 0xA) for kind, _ in read_frames(answer))
    hub.check()


@examples(60)
@given(
    said=st.lists(packets(), min_size=1, max_size=10),
    is_accepted=st.booleans(),
    extra=st.sampled_from(["", "\x1e", "\x1e\x1e", "\ud800"]),
)
def test_a_polling_client_may_post_anything(
    hub: FuzzedHub, said: list[str], is_accepted: bool, extra: str
) -> None:
    """Whatever packets are posted, the answer is ``ok`` or a refusal, and the session ends."""
    opened = read_response(hub.exchange(request("GET", "/socket.io/?EIO=4&transport=polling")))
    path = f"/socket.io/?EIO=4&transport=polling&sid={json.loads(opened.body[1:])['sid']}"
    if is_accepted:
        said = ["40" + json.dumps({"token": token("ada", "s1")}), *said]
    body = ("\x1e".join(said) + extra).encode("utf-8", "surrogatepass")
    answer = read_response(hub.exchange(request("POST", path, body=body)))
    assert answer.status in (200, 400, 413), answer
    # A session that is over already refuses this, and one that is not ends by it.
    last = read_response(hub.exchange(request("POST", path, body=b"1")))
    assert last.status in (200, 400), last
    hub.check()
