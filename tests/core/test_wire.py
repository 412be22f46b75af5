"""What is stored and published comes back as it was, or is refused."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.model import Logout, Reason, Scope
from hub.core.wire import (
    MAX_BYTES,
    VERSION,
    Malformed,
    decode_logout,
    encode_logout,
)

RECORD: dict[str, Any] = {
    "v": VERSION,
    "id": "id-1",
    "scope": "others",
    "reason": "password_changed",
    "user": "https%3A%2F%2Fid.example|ada",
    "sid": "s-1",
    "message": "Your password was changed",
}


def stored(at: int | str = 7, /, **changes: Any) -> bytes:
    """Return a stored logout with some members changed; one of ``...`` is left out."""
    members = {name: value for name, value in {**RECORD, **changes}.items() if value is not ...}
    return f"{at} {json.dumps(members)}".encode()


names = st.text(min_size=1, max_size=60)
logouts = st.builds(
    Logout,
    id=names,
    user=st.none() | names,
    scope=st.sampled_from(Scope),
    reason=st.sampled_from(Reason),
    sid=names,
    message=st.none() | st.text(max_size=100),
    at=st.integers(0, 9_000_000_000_000_000),
) | st.builds(
    Logout, id=names, user=st.none(), scope=st.just(Scope.ALL), reason=st.just(Reason.ADMIN)
)


@given(logouts)
def test_a_logout_comes_back_as_it_was_written(logout: Logout) -> None:
    """Any text in any script, quotes and control characters too, survives the store."""
    text = encode_logout(logout)
    assert decode_logout(b"%d %b" % (logout.at, text)) == logout


@given(logouts)
def test_a_written_logout_is_one_line_without_its_time(logout: Logout) -> None:
    """The text is JSON whose reader needs no time, so that the store can put its own in front."""
    text = encode_logout(logout)
    assert text.startswith(b'{"v":1,')
    assert b"\n" not in text
    assert encode_logout(msgspec.structs.replace(logout, at=logout.at + 1)) == text


def test_every_member_is_read() -> None:
    """A record as another replica writes it, member by member."""
    assert decode_logout(stored(1_700_000_000_123_456)) == Logout(
        id="id-1",
        user="https%3A%2F%2Fid.example|ada",
        scope=Scope.OTHERS,
        reason=Reason.PASSWORD_CHANGED,
        sid="s-1",
        message="Your password was changed",
        at=1_700_000_000_123_456,
    )


@pytest.mark.parametrize("member", ["v", "id", "scope", "reason"])
def test_a_record_without_what_it_needs_is_malformed(member: str) -> None:
    """Half a logout is no logout."""
    with pytest.raises(Malformed):
        decode_logout(stored(7, **{member: ...}))


@pytest.mark.parametrize(
    "changes",
    [
        {"v": VERSION + 1},
        {"v": 0},
        {"v": "1"},
        {"v": None},
        {"scope": "everything"},
        {"scope": ""},
        {"scope": None},
        {"reason": "because"},
        {"id": 5},
        {"user": ["ada"]},
        {"sid": 5},
        {"message": {}},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_record_of_another_form_or_version_is_malformed(changes: dict[str, Any]) -> None:
    """What a newer hub, or nobody, may have written is not half understood."""
    with pytest.raises(Malformed):
        decode_logout(stored(**changes))


@pytest.mark.parametrize("scope", ["others", "session"])
@pytest.mark.parametrize("sid", [..., None, ""])
def test_a_narrow_scope_without_its_session_is_malformed(scope: str, sid: Any) -> None:
    """An empty scope ends nothing, and above all not everything."""
    with pytest.raises(Malformed, match="without a session"):
        decode_logout(stored(scope=scope, sid=sid))


@pytest.mark.parametrize("at", ["", "x", "1.5", "1e9", "0x10", "NaN", "now", "--1", "1" * 5000])
def test_a_time_is_a_whole_number(at: str) -> None:
    """A time that the store did not write is refused."""
    with pytest.raises(Malformed):
        decode_logout(stored(at))


def test_a_record_is_at_most_so_long() -> None:
    """One byte more than the most is refused before it is parsed."""
    spare = MAX_BYTES - len(stored(message=""))
    assert len(decode_logout(stored(message="x" * spare)).message or "") == spare
    with pytest.raises(Malformed, match=str(MAX_BYTES + 1)):
        decode_logout(stored(message="x" * (spare + 1)))


@given(st.binary() | st.text().map(str.encode))
def test_garbage_is_malformed(data: bytes) -> None:
    """Whatever somebody else publishes raises one kind of error."""
    with pytest.raises(Malformed):
        decode_logout(data)
    with pytest.raises(Malformed):
        decode_logout(b"7 " + data)


@given(st.integers(0, len(stored())), st.binary(max_size=3), st.integers(0, 3))
def test_a_damaged_record_is_malformed_or_a_whole_logout(
    place: int, inserted: bytes, removed: int
) -> None:
    """Bytes lost or added never make anything but a well-formed logout or an error."""
    data = stored()
    damaged = data[:place] + inserted + data[place + removed :]
    try:
        logout = decode_logout(damaged)
    except Malformed:
        return
    assert logout.scope is Scope.ALL or logout.sid
    assert isinstance(logout.at, int)
