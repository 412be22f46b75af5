"""What somebody wrote to Redis who is no hub: on the channels, and into the log."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from hub.store.names import PARTITIONS
from tests.fuzz.examples import examples
from tests.fuzz.hub import FuzzedHub, fuzzed
from tests.fuzz.oracle import check_same, check_well, open_websocket, text_frame
from tests.fuzz.payloads import documents
from tests.redis_server import RedisServer
from tests.site import token

NOW = 1_790_000_000_000_000
STAMPS = st.sampled_from(
    [b"0-0", b"1-1", b"99999999999999-0", b"x", b"", b"-", b"18446744073709551616-0"]
)
FORGED = [
    b'%d {"v":1,"id":"f","scope":"all","reason":"admin","user":"|ada"}' % NOW,
    b'%d {"v":1,"id":"f","scope":"all","reason":"admin"}' % NOW,
]
RECORDS = st.one_of(
    documents().map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from([
        *FORGED,
        b'%d {"v":2,"id":"f","scope":"all","reason":"admin"}' % NOW,
        b'%d {"v":1,"id":"f","scope":"others","reason":"user","user":"|ada"}' % NOW,
        b"99999999999999999999 {}",
    ]),
    st.binary(max_size=50),
)  # fmt: skip


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """What may stand on a channel: noise, and what looks like a hub's message."""
    if draw(st.integers(0, 3)) == 0:
        return draw(st.binary(max_size=80))
    parts = [
        draw(STAMPS),
        draw(STAMPS),
        draw(st.sampled_from([b"", b"lease", b"a,b"])),
        draw(RECORDS),
    ]
    return b" ".join(parts[draw(st.integers(0, 2)) :])


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Any]:
    """A plain client of an empty Redis."""
    with redis_server.client() as found:
        found.flushall()
        yield found


@pytest.fixture
def redis_hub(client: Any, redis_server: RedisServer) -> Iterator[FuzzedHub]:
    """A hub on a Redis, which must be well at the end."""
    with fuzzed(redis_url=redis_server.url) as running:
        yield running
        check_well(running)


@examples(40)
@given(
    said=st.lists(st.tuples(st.integers(0, PARTITIONS - 1), messages()), min_size=1, max_size=20)
)
def test_a_channel_may_say_anything(
    redis_hub: FuzzedHub, client: redis.Redis, said: list[tuple[int, bytes]]
) -> None:
    """Whatever is published, nobody is logged out by it, and the hub goes on."""
    for part, message in said:
        client.publish(f"hub:{{{part}}}:logouts", message)
    assert check_same(redis_hub, token("ada", "s1")) == "ok"
    redis_hub.check()


@examples(20)
@given(
    record=st.sampled_from(FORGED),
    number=st.integers(1, 2**40),
    is_next=st.booleans(),
    code=st.sampled_from([b"", b"0" * 40 + b" ", hashlib.sha1(b"").hexdigest().encode() + b" "]),  # noqa: S324
)
def test_a_forged_logout_on_a_channel_ends_nobody(
    redis_hub: FuzzedHub,
    client: redis.Redis,
    record: bytes,
    number: int,
    is_next: bool,
    code: bytes,
) -> None:
    """A message of the right form, after the right entry, is no logout: who may publish may not."""
    with redis_hub.line() as line:
        heard = open_websocket(line)
        line.sendall(text_frame("40" + json.dumps({"token": token("ada", "s1")})))
        while b"40{" not in heard:
            heard += line.recv(65536)
        for part in range(PARTITIONS):
            entries: Any = client.xrevrange(f"hub:{{{part}}}:log", count=1)
            last = bytes(entries[0][0]) if entries else b"0-0"
            entry = b"%d-%d" % (9_999_999_999_999, number)
            message = code + b" ".join((last if is_next else b"1-1", entry, b"", record))
            client.publish(f"hub:{{{part}}}:logouts", message)
        assert check_same(redis_hub, token("ada", "s1")) == "ok"
        line.settimeout(0.05)
        with contextlib.suppress(TimeoutError):
            heard += line.recv(65536)
    assert b"logoutNotification" not in heard
    redis_hub.check()


@examples(20)
@given(
    said=st.lists(
        st.tuples(
            st.integers(0, PARTITIONS - 1),
            st.sampled_from(["logout", "leases", "x"]),
            st.binary(max_size=60) | RECORDS.filter(lambda record: record not in FORGED),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_the_log_may_hold_anything(
    redis_hub: FuzzedHub, client: redis.Redis, said: list[tuple[int, str, bytes]]
) -> None:
    """What cannot be read in the log makes the hub look, and ends nobody."""
    for part, field, value in said:
        client.xadd(f"hub:{{{part}}}:log", {field: value})
    assert check_same(redis_hub, token("ada", "s1")) == "ok"
    redis_hub.check()
