"""Reads the issuers file, a TOML text with issuers, transmitters and clients."""

from __future__ import annotations

import tomllib

import msgspec

from hub.core.clients import OAuthClient, read_client
from hub.core.issuers import Entry, IssuersError, check_entries
from hub.core.issuers_table import read_entry
from hub.core.tables import MAX_TABLES, read_tables
from hub.core.transmitters import Transmitter, check_transmitters, read_transmitter

OTHER_TABLES = ("relying_party", "webhook")
"""Tables of the same file that are reserved for planned features."""


class IssuersFile(msgspec.Struct, frozen=True):
    """The content of an issuers file: issuers, transmitters of events, and client programs."""

    entries: tuple[Entry, ...]
    transmitters: tuple[Transmitter, ...] = ()
    clients: tuple[OAuthClient, ...] = ()


def read_document(text: str, *, max_lifetime: float, leeway: float) -> IssuersFile:
    """Return what an issuers file holds.

    ``max_lifetime`` and ``leeway`` are the defaults for entries that do not set them, in seconds;
    ``leeway`` is for transmitters, too.

    Raises:
        IssuersError: if the file is not valid; names the table and the member.
    """
    try:
        document = tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        raise IssuersError(f"not TOML: {error}") from None
    issuers = document.pop("issuer", [])
    others = {kind: document.pop(kind, []) for kind in ("transmitter", "client")}
    for name in document:
        planned = name in OTHER_TABLES
        raise IssuersError(
            f"{name} is planned and does nothing yet" if planned else f"{name} is unknown"
        )
    if not isinstance(issuers, list) or not issuers:
        raise IssuersError(f"needs 1 to {MAX_TABLES} tables [[issuer]]")
    entries = read_tables(
        "issuer",
        issuers,
        lambda table: read_entry(table, max_lifetime=max_lifetime, leeway=leeway),
    )
    check_entries(entries)
    transmitters = read_tables(
        "transmitter",
        others["transmitter"],
        lambda table: read_transmitter(table, entries, leeway=leeway),
    )
    clients = read_tables("client", others["client"], read_client, name="id")
    _check_distinct(transmitters, clients)
    return IssuersFile(entries, transmitters, clients)


def read_entries(text: str, *, max_lifetime: float, leeway: float) -> tuple[Entry, ...]:
    """Return only the entries of an issuers file; see `read_document`."""
    return read_document(text, max_lifetime=max_lifetime, leeway=leeway).entries


def _check_distinct(
    transmitters: tuple[Transmitter, ...], clients: tuple[OAuthClient, ...]
) -> None:
    try:
        check_transmitters(transmitters)
    except ValueError as error:
        raise IssuersError(f"transmitter: {error}") from None
    ids = [client.id for client in clients]
    for name in ids:
        if ids.count(name) > 1:
            raise IssuersError(f"client: {name} is named twice")
