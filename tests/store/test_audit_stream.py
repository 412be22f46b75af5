"""The copy of the audit logs, on each kind of Redis and under the shipped user."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from hub.errors import Unavailable
from hub.store import audit_stream
from hub.store.audit_stream import AuditStream
from tests.ports import free_port
from tests.redis_server import as_hub


@pytest.fixture(params=["redis_url", "sentinel_url", "cluster_url"])
def url(request: pytest.FixtureRequest) -> str:
    """The address of an empty Redis, of each kind, for the shipped user."""
    address: str = request.getfixturevalue(request.param)
    return as_hub(address)


@pytest.fixture
async def stream(url: str) -> AsyncIterator[AuditStream]:
    """The stream there."""
    made = AuditStream(url)
    yield made
    await made.close()


async def test_lines_are_read_as_they_came(stream: AuditStream) -> None:
    """All of them, over many pages, whatever bytes they hold."""
    assert [line async for line in stream.read()] == []
    lines = [b"%d \xff\x00\r\n" % number for number in range(2_100)]
    for start in range(0, len(lines), 300):
        await stream.append(lines[start : start + 300])
    assert [line async for line in stream.read()] == lines


async def test_the_oldest_give_way(stream: AuditStream, monkeypatch: pytest.MonkeyPatch) -> None:
    """About as many as may be kept are kept: Redis cuts off in blocks of a hundred."""
    monkeypatch.setattr(audit_stream, "KEPT", 500)
    for number in range(20):
        await stream.append([b"%d" % (100 * number + one) for one in range(100)])
    found = [int(line) async for line in stream.read()]
    assert 500 <= len(found) <= 700
    assert found == list(range(2000 - len(found), 2000))


async def test_a_redis_that_is_not_there_is_unavailable() -> None:
    """For both directions, within the limit of the store."""
    stream = AuditStream(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(Unavailable):
        await stream.append([b"line"])
    with pytest.raises(Unavailable):
        _ = [line async for line in stream.read()]
    await stream.close()
