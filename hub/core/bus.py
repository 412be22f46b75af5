"""Signs the messages on the Redis channels, so that only replicas can send them.

Otherwise, a client that may only publish to the hub's channels could make every replica close its
sockets, skip logouts, or conclude that the store lost data. A message is signed by the script that
publishes it, since only the script knows the id of the log entry. Lua in Redis has only SHA-1, so
the code uses HMAC's construction (RFC 2104) with it: a hash under one key of the hash under
another, each key as long as a block. SHA-1's collisions do not weaken that (RFC 6151 section 2 says
the same of MD5).
"""

from __future__ import annotations

import hashlib
import hmac

import msgspec

MAX_MESSAGE_BYTES = 65536
"""A message that would be longer, because of its sessions, has its readers read the log instead."""

CODE_LENGTH = 40


class BusKey(msgspec.Struct, frozen=True):
    """The two keys of a signature, 64 characters each."""

    inner: str
    outer: str

    def __repr__(self) -> str:
        return "BusKey(…)"


def derive_key(secret: str | None) -> BusKey:
    """Derive the key from a secret that all replicas share.

    Without a secret the key is public: it then protects against accidents, not against attackers.
    """
    master = (secret or "").encode(errors="surrogateescape")

    def derive(label: str) -> str:
        return hmac.digest(master, f"logout-hub bus {label}".encode(), hashlib.sha256).hex()

    return BusKey(derive("inner"), derive("outer"))


def sign(key: BusKey, channel: bytes, message: bytes) -> bytes:
    """Return the signature of a message on a channel, as ``end.lua`` computes it."""
    inner = hashlib.sha1(key.inner.encode() + channel + b" " + message, usedforsecurity=False)
    outer = key.outer.encode() + inner.hexdigest().encode()
    return hashlib.sha1(outer, usedforsecurity=False).hexdigest().encode()


def open_message(key: BusKey, channel: bytes, data: bytes) -> bytes | None:
    """Return the message in ``CODE MESSAGE``, or None if its signature is wrong."""
    if len(data) > MAX_MESSAGE_BYTES:
        return None
    code, message = data[:CODE_LENGTH], data[CODE_LENGTH + 1 :]
    return message if hmac.compare_digest(code, sign(key, channel, message)) else None
