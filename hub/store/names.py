"""The names of the keys in Redis, and the partition of each user.

All keys of a partition, including its log and its channel, share a hash tag, ``hub:{P}:…``, and so
one slot of a Redis Cluster.

==============================  ========================================================
``hub:{P}:sessions:USER``       sorted set of session ids, by expiry
``hub:{P}:session:USER:SID``    hash: device, ip, times, ``@LEASE`` for each replica with a socket
``hub:{P}:dead:USER:SID``       tombstone: the logout that ended the session
``hub:{P}:cutoff:USER``         the newest logout of all (or all other) sessions of the user
``hub:{P}:kept-cutoff:USER``    the kept cut-off: the newest that ended the session kept by that
``hub:{P}:refused:ISS:SID``     the tombstone of a session of an issuer, for any user
``hub:{P}:users:ISS:SID``       set of the users who have registered that session
``hub:{P}:everyone``            the newest logout of everyone
``hub:{P}:pace:USER``           rate limit of the user's own logouts: paid until
``hub:{P}:message:ID``          the message of a logout, for tokens that its tombstones refuse
``hub:{P}:key:USER:KEY``        hash: what an idempotency key was used for, and the answer
``hub:{P}:claim:KEY``           hash: what an administrator's key for a list was used for
``hub:{P}:per-token:USER``      sorted set of the ids of sessions per token, by when last seen
``hub:{P}:cleared:USER``        the cut-offs for which a full list of sessions was last cleared
``hub:{P}:receipt:ID:USER``     hash: the state of each session that a logout ended
``hub:{P}:rows:ID``             hash: the state of each session that a logout of everyone ended
``hub:{P}:receipt:ID``          set of the users that have a receipt of a logout
``hub:{P}:leases``              sorted set of the replicas, by when they last renewed
``hub:{P}:log``                 stream of logouts
``hub:{P}:epoch``               the epoch of the log
``hub:{P}:evicted``             the newest eviction of keys that was marked as a data loss
``hub:{P}:logouts``             channel of logouts
``hub:{0}:audit``               stream: the copy of the audit logs of all replicas
``hub:{0}:signals``             stream: the results of signals, of all replicas
``hub:{P}:hold:NAME``           the replica that has a hold, such as to poll a transmitter
``hub:{P}:notes:NAME``          hash: notes for operators, such as on a transmitter's stream
==============================  ========================================================
"""

from __future__ import annotations

from urllib.parse import quote
from zlib import crc32

from hub.core.model import UserKey

PARTITIONS = 16
"""Must never change: users would be looked up in other partitions."""


def partition_of(user: UserKey) -> int:
    """Return the partition of a user."""
    return crc32(user.encode()) % PARTITIONS


def claim_key(digest: str) -> tuple[int, str]:
    """Return the partition and the name of the key for a claimed idempotency key."""
    partition = crc32(digest.encode()) % PARTITIONS
    return partition, f"hub:{{{partition}}}:claim:{digest}"


def session_hash_key(user: UserKey, sid: str) -> str:
    """Return the name of the key for a user's session."""
    return f"{_sessions(partition_of(user), user)}{sid}"


def _sessions(partition: int, user: str) -> str:
    return f"hub:{{{partition}}}:session:{user}:"


def receipt_key(user: UserKey, logout_id: str) -> tuple[int, str]:
    """Return the partition and the name of the key for a user's receipt of a logout."""
    partition = partition_of(user)
    return partition, _receipt(partition, user, logout_id)


def _receipt(partition: int, user: str, logout_id: str) -> str:
    return f"hub:{{{partition}}}:receipt:{logout_id}:{user}"


def hold_key(name: str) -> tuple[int, str]:
    """Return the partition and the name of the key for a hold."""
    return _key("hold", name)


def notes_key(name: str) -> tuple[int, str]:
    """Return the partition and the name of the key for the notes about something."""
    return _key("notes", name)


def _key(kind: str, name: str) -> tuple[int, str]:
    partition = crc32(name.encode()) % PARTITIONS
    return partition, f"hub:{{{partition}}}:{kind}:{quote(name, safe='')}"


class Names:
    """The names of the keys of a user, or (``user`` None) of a partition.

    ``iss`` is the issuer of the sessions, if no user is given.
    """

    def __init__(self, user: UserKey | None, partition: int = 0, iss: str = "") -> None:
        self.partition = partition if user is None else partition_of(user)
        prefix = f"hub:{{{self.partition}}}"
        self._prefix = prefix
        self.user = user or ""
        self.sessions = f"{prefix}:sessions:{self.user}"
        self.session = _sessions(self.partition, self.user)
        self.tombstone = f"{prefix}:dead:{self.user}:"
        issuer = quote(iss, safe="") if user is None else user.partition("|")[0]
        self.refusal = f"{prefix}:refused:{issuer}:"
        self.registered = f"{prefix}:users:{issuer}:"
        self.cutoff = f"{prefix}:cutoff:{self.user}"
        self.pace = f"{prefix}:pace:{self.user}"
        self.messages = f"{prefix}:message:"
        self.key = f"{prefix}:key:{self.user}:"
        self.per_token = f"{prefix}:per-token:{self.user}"
        self.cleared = f"{prefix}:cleared:{self.user}"
        self.kept_cutoff = f"{prefix}:kept-cutoff:{self.user}"
        self.everyone = f"{prefix}:everyone"
        self.cutoffs = (self.cutoff, self.kept_cutoff, self.everyone)
        self.leases = f"{prefix}:leases"
        self.log = f"{prefix}:log"
        self.epoch = f"{prefix}:epoch"
        self.evicted = f"{prefix}:evicted"
        self.channel = f"{prefix}:logouts"
        self.receipts = f"{prefix}:receipt:"
        self.audit = f"{prefix}:audit"
        self.signals = f"{prefix}:signals"

    def receipt(self, logout_id: str) -> str:
        """Return the key of a logout's receipt for this user."""
        return _receipt(self.partition, self.user, logout_id)

    def rows(self, logout_id: str) -> str:
        """Return the key of the rows of the receipt of a logout of everyone."""
        return f"{self._prefix}:rows:{logout_id}"

    def receipt_users(self, logout_id: str) -> str:
        """Return the key of the set of users that have a receipt of a logout."""
        return f"{self.receipts}{logout_id}"
