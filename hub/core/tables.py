"""Reads the tables of the issuers file; a mistake is one line that names the table and member."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec

from hub.core.claims import is_name
from hub.core.issuers import IssuersError

MAX_TABLES = 100
"""Tables of one kind in a file."""

MAX_TITLE_LENGTH = 100

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
Texts = Annotated[list[Text], msgspec.Meta(min_length=1, max_length=20)]

T = TypeVar("T")


def read_tables(
    kind: str, tables: Any, read: Callable[[Any], T], *, name: str = "iss"
) -> tuple[T, ...]:
    """Return ``read`` of each table of a kind; the member ``name`` identifies a table in errors.

    Raises:
        IssuersError: if there are too many, or ``read`` raises ValueError for one.
    """
    if not isinstance(tables, list) or len(tables) > MAX_TABLES:
        raise IssuersError(f"{kind}: at most {MAX_TABLES} tables [[{kind}]]")
    return tuple(_read_table(kind, n, table, read, name) for n, table in enumerate(tables, 1))


def _read_table(kind: str, number: int, table: Any, read: Callable[[Any], T], name: str) -> T:
    given = table.get(name) if isinstance(table, dict) else None
    where = f"{kind} {number}" + (f" ({given})" if isinstance(given, str) else "")
    try:
        return read(table)
    except ValueError as error:
        raise IssuersError(f"{where}: {error}") from None


def convert(table: Any, form: type[T]) -> T:
    """Return a table as a struct of this form.

    Raises:
        ValueError: if it has another form; names the member.
    """
    try:
        return msgspec.convert(table, form)
    except msgspec.ValidationError as error:
        # "Expected `str`, got `int` - at `$.audience`": put the member first.
        text, _, place = str(error).partition(" - at `$.")
        raise ValueError(f"{place.rstrip('`')}: {text}" if place else text) from None


def as_texts(value: str | list[str] | None) -> tuple[str, ...]:
    """Return the texts of a member that holds one, a list or nothing."""
    return (value,) if isinstance(value, str) else tuple(value or ())


def check_names(member: str, *names: str) -> None:
    """Check the names in a member.

    Raises:
        ValueError: if one is not a name (`is_name`).
    """
    if not all(map(is_name, names)):
        raise ValueError(f"{member}: a name has 1 to 256 characters and no controls")


def check_title(title: str | None) -> None:
    """Check a title: text for people.

    Raises:
        ValueError: if it is too long or has controls.
    """
    if title is not None and (len(title) > MAX_TITLE_LENGTH or not is_name(title)):
        raise ValueError(
            f"title: a text for people of 1 to {MAX_TITLE_LENGTH} characters, without controls"
        )
