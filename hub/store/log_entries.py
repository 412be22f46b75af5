"""The form of a logout in the log of a partition, and on its channel.

An entry of the log has these fields; a record is as in `hub.core.wire`:

============  ==================================================================================
``logout``    the record of the logout
``leases``    those whose reports are pending, with commas between them, or ``-``
``sessions``  the ids of the registered sessions that it ended besides the one that it names, as a
              JSON array, or nothing
``issuer``    only if it refuses a session for any user: the issuer of the session
============  ==================================================================================

A message on the channel is ``PREVIOUS ENTRY EPOCH LEASES RECORD``, then a line with the sessions,
and one with the issuer if there is one. ``PREVIOUS`` and ``ENTRY`` are ids of entries. If the
message would be too long, ``PREVIOUS`` is ``-``, and the entry must be read from the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from hub.core.model import Logout, UserKey
from hub.core.wire import Malformed, decode_logout
from hub.store.names import partition_of
from hub.store.values import LogoutEvent

_sids = msgspec.json.Decoder(tuple[str, ...])


class Message(msgspec.Struct, frozen=True):
    """A message on the channel: its place in the log, and the fields of the entry."""

    previous: str
    entry: str
    epoch: str
    fields: Mapping[bytes, bytes]


def read_message(data: bytes) -> Message:
    """Return the message in ``data``.

    Raises:
        ValueError: if it is not of this form.
    """
    previous, entry, epoch, leases, rest = data.split(b" ", 4)
    lines = dict(zip((b"logout", b"sessions", b"issuer"), rest.split(b"\n", 2), strict=False))
    return Message(previous.decode(), entry.decode(), epoch.decode(), {b"leases": leases, **lines})


def read_fields(fields: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return the fields of an entry, from Redis' flat list of names and values."""
    return dict(zip(fields[0::2], fields[1::2], strict=True))


def make_event(
    partition: int, entry: str, fields: Mapping[bytes, bytes], *, is_live: bool = False
) -> LogoutEvent:
    """Return the event for an entry of the log of a partition.

    Raises:
        Malformed: if it was not written by this version of the hub, or is damaged.
    """
    try:
        logout = decode_logout(fields[b"logout"])
        leases, sessions = fields.get(b"leases", b"-"), fields.get(b"sessions")
        issuer = fields.get(b"issuer")
        return LogoutEvent(
            logout,
            _nobody if issuer is not None else _concerned(logout, partition),
            frozenset() if leases == b"-" else frozenset(leases.decode().split(",")),
            partition,
            is_live,
            entry,
            _sids.decode(sessions) if sessions else (),
            None if issuer is None else issuer.decode(),
        )
    except Malformed:
        raise
    except (msgspec.DecodeError, KeyError, ValueError) as error:
        raise Malformed(f"an entry of the log: {error!r}") from error


def _nobody(user: UserKey) -> bool:
    return False


def _concerned(logout: Logout, partition: int) -> Callable[[UserKey], bool]:
    if logout.user is None:
        return lambda user: partition_of(user) == partition
    return lambda user: user == logout.user
