"""The issuers that the settings name: one by variables, or several by the file HUB_ISSUERS.

Only the file names transmitters of security events. Clients are named by it and by HUB_CLIENTS.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from pydantic import SecretStr

from hub.core.clients import check_clients
from hub.core.issuers import Entry, IssuersError
from hub.core.issuers_document import IssuersFile, read_document
from hub.core.single_issuer import read_single_entry
from hub.settings import Settings, SettingsError

MAX_FILE_BYTES = 1_000_000


def load_entries(settings: Settings) -> tuple[Entry, ...]:
    """Return the issuer entries of the settings; see `load_issuers_file`."""
    return load_issuers_file(settings).entries


def load_issuers_file(settings: Settings) -> IssuersFile:
    """Return the issuers, transmitters and clients; a file is read again at each call.

    Raises:
        SettingsError: in one line that names the variable, or the file, the table and the member.
    """
    file = _load_file(settings)
    clients = (*settings.named_clients, *file.clients)
    try:
        check_clients(clients)
    except ValueError as error:
        raise SettingsError(f"HUB_CLIENTS: {error}") from None
    return msgspec.structs.replace(file, clients=clients)


def _load_file(settings: Settings) -> IssuersFile:
    if settings.issuers is None:
        return IssuersFile((_single_entry(settings),))
    try:
        data = Path(settings.issuers).read_bytes()
        if len(data) > MAX_FILE_BYTES:
            raise IssuersError(f"larger than {MAX_FILE_BYTES} bytes")
        return read_document(
            data.decode(), max_lifetime=settings.token_max_lifetime, leeway=settings.jwt_leeway
        )
    except OSError as error:
        raise SettingsError(f"HUB_ISSUERS: {settings.issuers}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"HUB_ISSUERS: {settings.issuers}: not UTF-8") from None
    except ValueError as error:
        raise SettingsError(f"HUB_ISSUERS: {settings.issuers}: {error}") from None


def _single_entry(settings: Settings) -> Entry:
    try:
        return read_single_entry(
            secret=_text(settings.jwt_secret),
            previous_secret=_text(settings.jwt_secret_previous),
            public_key=settings.jwt_public_key,
            jwks_url=settings.jwt_jwks_url,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            algorithms=settings.jwt_algorithms,
            max_lifetime=settings.token_max_lifetime,
            leeway=settings.jwt_leeway,
        )
    except IssuersError as error:
        raise SettingsError(str(error)) from None


def _text(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def takes_any_audience(entry: Entry) -> bool:
    """Return whether an entry with fetched keys accepts tokens for any audience."""
    return entry.keys.is_fetched and entry.rules.audience is None
