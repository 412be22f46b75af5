"""The issuers that the settings name: one by variables, or several by the file HUB_ISSUERS.

Only the file names transmitters of security events and clients, too.
"""

from __future__ import annotations

from pathlib import Path

from hub.core.issuers import Entry, IssuersError, KeySource, Source, make_entry
from hub.core.issuers_document import IssuersFile, read_document
from hub.settings import Settings, SettingsError

VARIABLES = {
    "discovery": "HUB_JWT_ISSUER",
    "jwks_url": "HUB_JWT_JWKS_URL",
    "public_key": "HUB_JWT_PUBLIC_KEY",
    "secret": "HUB_JWT_SECRET",
    "audience": "HUB_JWT_AUDIENCE",
    "algorithms": "HUB_JWT_ALGORITHMS",
}
"""The environment variables by the member of an ``[[issuer]]`` that they replace."""

MAX_FILE_BYTES = 1_000_000


def load_entries(settings: Settings) -> tuple[Entry, ...]:
    """Return the issuer entries of the settings; see `load_issuers_file`."""
    return load_issuers_file(settings).entries


def load_issuers_file(settings: Settings) -> IssuersFile:
    """Return the issuers, transmitters and clients; a file is read again at each call.

    Raises:
        SettingsError: in one line that names the variable, or the file, the table and the member.
    """
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
    except ValueError as error:
        raise SettingsError(f"HUB_ISSUERS: {settings.issuers}: {error}") from None


def _single_entry(settings: Settings) -> Entry:
    if settings.jwt_secret_previous is not None and settings.jwt_secret is None:
        raise SettingsError("HUB_JWT_SECRET_PREVIOUS: needs HUB_JWT_SECRET, which replaces it")
    keys = _key_source(settings)
    if keys is None:
        raise SettingsError(
            "set HUB_JWT_ISSUER and HUB_JWT_AUDIENCE, or HUB_JWT_SECRET, HUB_JWT_PUBLIC_KEY, "
            "HUB_JWT_JWKS_URL or HUB_ISSUERS: there is nothing to verify tokens with"
        )
    try:
        return make_entry(
            issuer=settings.jwt_issuer,
            keys=keys,
            algorithms=settings.jwt_algorithms,
            audience=() if settings.jwt_audience is None else (settings.jwt_audience,),
            max_lifetime=settings.token_max_lifetime,
            leeway=settings.jwt_leeway,
        )
    except ValueError as error:
        member, _, text = str(error).partition(": ")
        raise SettingsError(f"{VARIABLES.get(member, member)}: {text}") from None


def _key_source(settings: Settings) -> KeySource | None:
    if settings.jwt_secret is not None:
        secrets = (settings.jwt_secret, settings.jwt_secret_previous)
        return KeySource(Source.SECRET, tuple(s.get_secret_value() for s in secrets if s))
    if settings.jwt_public_key is not None:
        return KeySource(Source.PUBLIC_KEY, (settings.jwt_public_key,))
    if settings.jwt_jwks_url is not None:
        return KeySource(Source.JWKS_URL, (settings.jwt_jwks_url,))
    if settings.jwt_issuer is not None:
        return KeySource(Source.DISCOVERY, (settings.jwt_issuer,))
    return None


def takes_any_audience(entry: Entry) -> bool:
    """Tell whether an entry with fetched keys accepts tokens for any audience."""
    return entry.keys.is_fetched and entry.rules.audience is None
