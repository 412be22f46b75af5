"""The options of a guard, and how to read them from the environment."""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from hub.core.issuers import Entry, IssuersError, KeySource, Source, make_entry
from hub.core.issuers_document import read_entries
from hub.core.single_issuer import read_single_entry
from hub.guard.http import check_url

OnStale: TypeAlias = Literal["ask", "refuse", "allow"]
OnMetric: TypeAlias = Callable[[str, float], None]

ON_STALE = ("ask", "refuse", "allow")
SECRET_LIFETIME = 86400.0
"""The longest lifetime of a token verified with ``secret``, in seconds; the hub's default."""
MAX_FILE_BYTES = 1_000_000


class Options(msgspec.Struct, frozen=True):
    """The arguments of a guard, checked; ``urls`` are the addresses of one hub."""

    urls: tuple[str, ...]
    token: str
    entries: tuple[Entry, ...]
    secret: str | None
    admin_token: str | None
    max_staleness: float
    on_stale: OnStale
    start_timeout: float
    on_metric: OnMetric | None
    tls: ssl.SSLContext | None

    def __repr__(self) -> str:
        return f"Options({', '.join(self.urls)})"


def make_options(
    url: str | Sequence[str],
    *,
    token: str,
    issuers: Sequence[Entry],
    secret: str | None,
    admin_token: str | None,
    max_staleness: float,
    on_stale: OnStale,
    start_timeout: float,
    on_metric: OnMetric | None,
    tls: ssl.SSLContext | None,
) -> Options:
    """Return these arguments as options.

    Raises:
        ValueError: if one is invalid; it names the argument.
    """
    urls = (url,) if isinstance(url, str) else tuple(url)
    if not urls:
        raise ValueError("url: names no hub")
    if not _is_credential(token):
        raise ValueError("token: is not the HUB_GUARD_TOKEN of a hub")
    if admin_token is not None and not _is_credential(admin_token):
        raise ValueError("admin_token: is not the HUB_ADMIN_TOKEN of a hub")
    if on_stale not in ON_STALE:
        raise ValueError(f"on_stale: is not one of {', '.join(ON_STALE)}")
    if not 0 < max_staleness < math.inf:
        raise ValueError("max_staleness: must be more than 0 seconds, and finite")
    entries = tuple(issuers)
    if not entries and secret is not None:
        entries = (secret_entry(secret),)
    return Options(
        urls=tuple(check_url(one) for one in urls),
        token=token,
        entries=entries,
        secret=secret,
        admin_token=admin_token,
        max_staleness=max_staleness,
        on_stale=on_stale,
        start_timeout=start_timeout,
        on_metric=on_metric,
        tls=tls,
    )


def _is_credential(text: str) -> bool:
    """Return whether a text can be sent in a header; otherwise, an error would reveal it."""
    return text != "" and text.isascii() and text.isprintable()


def secret_entry(secret: str) -> Entry:
    """Return the entry for tokens signed with a secret, the same as the hub's.

    Raises:
        ValueError: if it is not a secret, or too short.
    """
    return make_entry(
        issuer=None,
        keys=KeySource(Source.SECRET, (secret,)),
        algorithms=(),
        audience=(),
        max_lifetime=SECRET_LIFETIME,
        leeway=0,
    )


# ---- The environment ----

VARIABLES = {
    "HUB_URL": "address of the hub, or of its replicas, separated by commas",
    "HUB_GUARD_TOKEN": "token with which the guard reads the feed",
    "HUB_ADMIN_TOKEN": "token with which `end_session` ends sessions",
    "HUB_GUARD_MAX_STALENESS": "see `max_staleness`",
    "HUB_GUARD_ON_STALE": "see `on_stale`",
    "HUB_ISSUERS": "as the hub's",
    "HUB_JWT_SECRET": "as the hub's; also signs tickets",
    "HUB_JWT_SECRET_PREVIOUS": "as the hub's",
    "HUB_JWT_PUBLIC_KEY": "as the hub's",
    "HUB_JWT_JWKS_URL": "as the hub's",
    "HUB_JWT_ALGORITHMS": "as the hub's",
    "HUB_JWT_ISSUER": "as the hub's",
    "HUB_JWT_AUDIENCE": "as the hub's",
    "HUB_JWT_LEEWAY": "as the hub's",
    "HUB_TOKEN_MAX_LIFETIME": "as the hub's",
}
"""The variables that `read_environ` reads."""


def read_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of a guard that the environment sets, by name.

    Raises:
        ValueError: in one line that names the variable, if one is missing or invalid.
    """
    given = {name: value for name in VARIABLES if (value := environ.get(name, "").strip())}
    for name in ("HUB_URL", "HUB_GUARD_TOKEN"):
        if name not in given:
            raise ValueError(f"{name} is not set")
    found: dict[str, Any] = {
        "url": tuple(_split(given["HUB_URL"])),
        "token": given["HUB_GUARD_TOKEN"],
        "issuers": _read_entries(given),
        "secret": given.get("HUB_JWT_SECRET"),
        "admin_token": given.get("HUB_ADMIN_TOKEN"),
        "on_stale": given.get("HUB_GUARD_ON_STALE", "ask"),
        "max_staleness": _number(given, "HUB_GUARD_MAX_STALENESS", 10.0),
    }
    if found["on_stale"] not in ON_STALE:
        raise ValueError(f"HUB_GUARD_ON_STALE: is not one of {', '.join(ON_STALE)}")
    return found


def _read_entries(given: Mapping[str, str]) -> tuple[Entry, ...]:
    lifetime = _number(given, "HUB_TOKEN_MAX_LIFETIME", SECRET_LIFETIME)
    leeway = _number(given, "HUB_JWT_LEEWAY", 0.0)
    if (path := given.get("HUB_ISSUERS")) is not None:
        return _read_file(path, lifetime, leeway)
    if not any(name in given for name in VARIABLES if name.startswith("HUB_JWT_")):
        return ()
    entry = read_single_entry(
        secret=given.get("HUB_JWT_SECRET"),
        previous_secret=given.get("HUB_JWT_SECRET_PREVIOUS"),
        public_key=_read_pem(given.get("HUB_JWT_PUBLIC_KEY")),
        jwks_url=given.get("HUB_JWT_JWKS_URL"),
        issuer=given.get("HUB_JWT_ISSUER"),
        audience=given.get("HUB_JWT_AUDIENCE"),
        algorithms=tuple(_split(given.get("HUB_JWT_ALGORITHMS", ""))),
        max_lifetime=lifetime,
        leeway=leeway,
    )
    return (entry,)


def _read_file(path: str, lifetime: float, leeway: float) -> tuple[Entry, ...]:
    try:
        data = Path(path).read_bytes()
        if len(data) > MAX_FILE_BYTES:
            raise IssuersError(f"larger than {MAX_FILE_BYTES} bytes")
        return read_entries(data.decode(), max_lifetime=lifetime, leeway=leeway)
    except OSError as error:
        raise IssuersError(f"HUB_ISSUERS: {path}: {error.strerror}") from None
    except ValueError as error:
        raise IssuersError(f"HUB_ISSUERS: {path}: {error}") from None


def _read_pem(value: str | None) -> str | None:
    if value is None or value.startswith("-----BEGIN"):
        return value
    try:
        return Path(value).read_text()
    except (OSError, ValueError):
        text = "neither a public key in PEM nor a file that holds one"
        raise IssuersError(f"HUB_JWT_PUBLIC_KEY: {text}") from None


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _number(given: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(given.get(name, default))
    except ValueError:
        raise ValueError(f"{name}: is not a number of seconds") from None
