"""Reads the claims of a token, strictly, by the names that its issuer uses.

A claim that is null counts as absent. A claim is looked up by its literal name first, and then as a
path: ``amr.0.timestamp`` is the member ``timestamp`` of the first element of ``amr``.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from typing import Any, NoReturn

from hub.core.model import MAX_NAME_LENGTH, SECOND, Micros
from hub.errors import TokenInvalid

MAX_DATE = 253_402_300_799  # 9999-12-31, RFC 3339's last day
MAX_NUMBER = 2**63 - 1

UNNAMEABLE = frozenset({"Cc", "Cs", "Cn"})
"""Unicode categories: controls, surrogates and unassigned characters."""

TIMESTAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def read_members(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in a decoded part of a token.

    Raises:
        TokenInvalid: if it is not a JSON object, or a member is repeated.
    """
    try:
        value = _json.decode(raw.decode())
    except (ValueError, RecursionError):
        raise TokenInvalid("not a signed JWT in compact form") from None
    if not isinstance(value, dict):
        raise TokenInvalid("not a signed JWT in compact form")
    return value


def find_claim(claims: dict[str, Any], name: str) -> Any:
    """Return the value of a claim, by its name or else its path; None if it is absent."""
    if (found := claims.get(name)) is not None or "." not in name:
        return found
    return _follow(claims, name.split("."))


def _follow(value: Any, steps: list[str]) -> Any:
    """Return the value at a path; a member whose name holds dots takes several steps."""
    if not steps or value is None:
        return value
    if isinstance(value, list):
        step = steps[0]
        is_index = step.isascii() and step.isdigit() and len(step) < 4 and int(step) < len(value)
        return _follow(value[int(step)], steps[1:]) if is_index else None
    if not isinstance(value, dict):
        return None
    for count in range(len(steps), 0, -1):
        if (found := value.get(".".join(steps[:count]))) is not None:
            return _follow(found, steps[count:])
    return None


def first_claim(claims: dict[str, Any], names: Iterable[str]) -> tuple[str, Any]:
    """Return the name and value of the first of these claims that is present, or ("", None)."""
    for name in names:
        if (value := find_claim(claims, name)) is not None:
            return name, value
    return "", None


def is_name(text: str) -> bool:
    """Return whether a text may be the name of a user, a session or an issuer.

    It must have 1 to 256 characters, none of them a control, a surrogate or unassigned. Names are
    compared without normalization: NFC and NFD differ (RFC 7519 section 2, StringOrURI).
    """
    if not 0 < len(text) <= MAX_NAME_LENGTH:
        return False
    # A fast path: printable characters are in none of those categories.
    return text.isprintable() or UNNAMEABLE.isdisjoint(map(unicodedata.category, text))


def read_id(claim: str, value: Any) -> str:
    """Return the name of a user or a session; an integer is converted to decimal text.

    Raises:
        TokenInvalid: if it is neither a name nor an integer.
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_NUMBER:
        return str(value)
    return read_name(claim, value)


def read_name(claim: str, value: Any) -> str:
    """Return the name in a claim.

    Raises:
        TokenInvalid: if it is not a name (`is_name`).
    """
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_LENGTH:
        raise TokenInvalid(f"the claim {claim} is not a string of 1 to {MAX_NAME_LENGTH}")
    if not is_name(value):
        raise TokenInvalid(f"the claim {claim} holds a control or an unassigned character")
    return value


def read_date(claim: str, value: Any) -> Micros:
    """Return the time in a claim: a NumericDate (RFC 7519 section 2).

    Raises:
        TokenInvalid: if it is not one.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenInvalid(f"the claim {claim} is not a number")
    if not 0 <= value <= MAX_DATE:
        raise TokenInvalid(f"the claim {claim} is no date")
    return round(value * SECOND)


def read_login_time(claim: str, value: Any) -> Micros | None:
    """Return the time of a login, from a NumericDate or an RFC 3339 text; None for 0.

    Raises:
        TokenInvalid: if it is neither.
    """
    if isinstance(value, str) and (found := TIMESTAMP.fullmatch(value)):
        return _read_timestamp(found)
    return read_date(claim, value) or None


def _read_timestamp(found: re.Match[str]) -> Micros:
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    # Days since 1970-01-01 in the Gregorian calendar. The year is counted from March, so that the
    # leap day is its last.
    years, months = (year - 1, month + 9) if month < 3 else (year, month - 3)
    days = 365 * years + years // 4 - years // 100 + years // 400 + (153 * months + 2) // 5 + day
    zone = 0
    if len(found[8]) > 1:
        zone = (int(found[8][1:3]) * 60 + int(found[8][4:])) * (-60 if found[8][0] == "-" else 60)
    seconds = (days - 719_469) * 86_400 + hour * 3600 + minute * 60 + second - zone
    return max(0, seconds) * SECOND + int((found[7] or "0").ljust(6, "0")[:6])


def read_words(claim: str, value: Any) -> tuple[str, ...]:
    """Return the words of a claim: a space-separated string, or a list of strings.

    Raises:
        TokenInvalid: if it is neither.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(value.split())
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return tuple(value)
    raise TokenInvalid(f"the claim {claim} is neither a string nor a list of strings")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise TokenInvalid("a member is repeated in the token")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_json = json.JSONDecoder(object_pairs_hook=_distinct, parse_constant=_no_constant)
