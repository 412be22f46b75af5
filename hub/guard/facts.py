"""Facts about logouts, each packed into one number.

A *fact* holds the horizon, the time, the reason and the scope of a logout, in this order, so that
the newer of two cut-offs is the greater number.

A *value* holds the cut-offs of a user: the newest fact and, if that keeps a session, the session's
key and the newest cut-off that did end it; see `hub.core.revocation.supersede`.
"""

from __future__ import annotations

from hub.core.feed import Revocation, micros
from hub.core.model import Micros, Reason, Scope

TIME_BITS = 52
MAX_TIME = (1 << TIME_BITS) - 1
KIND_BITS = 8
KIND_MASK = (1 << KIND_BITS) - 1
SCOPE_BITS = 2
SCOPE_MASK = (1 << SCOPE_BITS) - 1
FACT_BITS = 2 * TIME_BITS + KIND_BITS
HORIZON_SHIFT = TIME_BITS + KIND_BITS
FACT_MASK = (1 << FACT_BITS) - 1
NAME_BITS = 60  # an int of at most 60 bits takes 32 bytes
NAME_MASK = (1 << NAME_BITS) - 1

SCOPES = tuple(Scope)
REASONS = tuple(Reason)
SCOPE_CODES = {scope: code for code, scope in enumerate(SCOPES)}
REASON_CODES = {reason: code << SCOPE_BITS for code, reason in enumerate(REASONS)}
OTHERS = SCOPE_CODES[Scope.OTHERS]


def pack(revocation: Revocation) -> int:
    """Return a logout as a fact."""
    kind = REASON_CODES[revocation.reason] | SCOPE_CODES[revocation.scope]
    at = _bounded(micros(revocation.at))
    horizon = at if revocation.before is None else _bounded(micros(revocation.before))
    return horizon << HORIZON_SHIFT | at << KIND_BITS | kind


def _bounded(at: Micros) -> int:
    return min(max(at, 0), MAX_TIME)


def horizon_of(fact: int) -> Micros:
    """Return the horizon of a fact, or of the newest of two cut-offs."""
    return (fact & FACT_MASK) >> HORIZON_SHIFT


def at_of(fact: int) -> Micros:
    """Return when a fact's logout was written."""
    return (fact >> KIND_BITS) & MAX_TIME


def scope_of(fact: int) -> Scope:
    """Return the scope of a fact's logout."""
    return SCOPES[fact & SCOPE_MASK]


def reason_of(fact: int) -> Reason:
    """Return the reason of a fact's logout."""
    return REASONS[(fact & KIND_MASK) >> SCOPE_BITS]


def without_kind(value: int) -> int:
    """Return a value without the scope and the reason of its newest fact."""
    return value >> KIND_BITS


def merge(old: int, fact: int, kept: int) -> int:
    """Return the value to store: the newest cut-off, and the newest that ended what that keeps.

    ``kept`` is the key of the session that ``fact`` keeps, if its scope is ``others``.
    """
    cutoffs = [(fact, kept)]
    if old:
        cutoffs += _split(old)
    (newest, newest_kept), *older = sorted(cutoffs, reverse=True)
    if newest & SCOPE_MASK != OTHERS:
        return newest
    ending = [one for one, other in older if one & SCOPE_MASK != OTHERS or other != newest_kept]
    return (max(ending, default=0) << NAME_BITS | newest_kept) << FACT_BITS | newest


def _split(value: int) -> list[tuple[int, int]]:
    """Return the cut-offs in a value, each with the key of the session that it keeps.

    The second one's is not stored: 0 stands for any other session than the first one's.
    """
    newest, rest = value & FACT_MASK, value >> FACT_BITS
    first = (newest, rest & NAME_MASK)
    return [first, (rest >> NAME_BITS, 0)] if rest >> NAME_BITS else [first]


def cutoff_against(value: int, sid: int) -> int:
    """Return the newest cut-off in a value that ended this session; 0 if none did."""
    newest, rest = value & FACT_MASK, value >> FACT_BITS
    is_kept = newest & SCOPE_MASK == OTHERS and rest & NAME_MASK == sid
    return rest >> NAME_BITS if is_kept else newest
