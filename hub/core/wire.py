"""Encodes and decodes logouts for the store and its channels.

A logout is written as ``<at> <json>``: the store prepends the time to the JSON text. Scripts never
re-encode that text, because Lua would lose digits; they read ``before`` as text too.
"""

from __future__ import annotations

import msgspec

from hub.core.model import Logout, Micros, Origin, Reason, Scope

VERSION = 1
MAX_DIGITS = 17
MAX_BYTES = 32768
"""The maximum length in bytes; the longest possible logout is shorter."""


class Malformed(ValueError):
    """The data was not written by this version of the hub, or is damaged."""


class _LogoutRecord(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    v: int
    id: str
    scope: Scope
    reason: Reason
    user: str | None = None
    sid: str | None = None
    message: str | None = None
    spread: int = 0
    before: Micros | None = None
    profile: str | None = None
    origin: Origin | None = None


_records = msgspec.json.Decoder(_LogoutRecord)


def encode_logout(logout: Logout) -> bytes:
    """Return the JSON text of a logout, without its time, which the store puts in front."""
    return msgspec.json.encode(
        _LogoutRecord(
            v=VERSION,
            id=logout.id,
            scope=logout.scope,
            reason=logout.reason,
            user=logout.user,
            sid=logout.sid,
            message=logout.message,
            spread=logout.spread,
            before=logout.before,
            profile=logout.profile,
            origin=logout.origin,
        )
    )


def decode_logout(data: bytes) -> Logout:
    """Return the logout in ``<at> <json>``.

    Raises:
        Malformed: if the data is too long, of another version, or not of this form.
    """
    if len(data) > MAX_BYTES:
        raise Malformed(f"a logout of {len(data)} bytes")
    stamp, _, text = data.partition(b" ")
    if len(stamp) > MAX_DIGITS or not stamp.isdigit():
        raise Malformed("not a time")
    try:
        record = _records.decode(text)
        at = int(stamp)
    except (msgspec.DecodeError, ValueError) as error:
        raise Malformed(str(error)) from error
    if record.v != VERSION:
        raise Malformed(f"a logout of version {record.v}")
    if record.scope is not Scope.ALL and not record.sid:
        raise Malformed(f"scope {record.scope} without a session")
    return Logout(
        id=record.id,
        user=record.user,
        scope=record.scope,
        reason=record.reason,
        sid=record.sid,
        message=record.message,
        spread=record.spread,
        at=at,
        before=record.before,
        profile=record.profile,
        origin=record.origin,
    )
