"""The types of single settings: how their texts are parsed, and which values are valid."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, SecretStr
from pydantic_settings import NoDecode

from hub.core.claims import is_name
from hub.core.clients import check_clients, read_client_text
from hub.core.hosts import browser_origin
from hub.core.issuers import check_address
from hub.core.rate import Rate, read_rate
from hub.core.rights import read_credentials
from hub.core.servers import Kind, kind_of, read_servers
from hub.core.signing import load_signing_key
from hub.core.verification_keys import ALGORITHMS, prepare_secret, suiting_algorithms


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _address(value: str) -> str:
    parts = urlsplit(value)
    is_path = value.startswith("/") and not value.startswith("//")
    is_absolute = parts.scheme in ("http", "https") and bool(parts.hostname)
    # Browsers read a backslash as a slash, and leave out what is not printable.
    if not (is_path or is_absolute) or not value.isprintable() or re.search(r"[\\\s]", value):
        raise ValueError("neither an http(s) address nor a path like /login")
    return value


def _login_page(value: str) -> str:
    name, _, url = value.partition("=")
    # Proxies read a path as one of the hub's, and what comes after a fragment is not sent.
    if not re.fullmatch(r"[0-9A-Za-z._-]{1,64}", name) or url[:1] == "/" or "#" in url:
        raise ValueError("not NAME=URL, such as web=https://login.example/start")
    _address(url)
    return value


def _login_pages(values: tuple[str, ...]) -> tuple[str, ...]:
    if len({value.partition("=")[0] for value in values}) < len(values):
        raise ValueError("a name is given twice")
    return values


def _algorithms(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if value not in ALGORITHMS:
            raise ValueError(f"{value} is not one of {', '.join(ALGORITHMS)}")
    return values


def _transports(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values or not {"polling", "websocket"}.issuperset(values):
        raise ValueError("polling, websocket, or both")
    return values


def _admin_tokens(values: tuple[str, ...]) -> tuple[str, ...]:
    read_credentials(values)
    return values


def _clients(values: tuple[str, ...]) -> tuple[str, ...]:
    check_clients(tuple(map(read_client_text, values)))
    return values


def _network(value: str) -> str:
    return str(ipaddress.ip_network(value, strict=False))


def _issuer(value: str) -> str:
    if not is_name(value):
        raise ValueError("not 1 to 256 characters without controls")
    return value


def _fetched(value: str) -> str:
    check_address("address", value)
    return value


def _redis(value: SecretStr) -> SecretStr:
    # Imported where there is a Redis: commands that need none start without it.
    from redis.asyncio import ConnectionPool
    from redis.asyncio.cluster import RedisCluster

    url = value.get_secret_value()
    try:
        servers = read_servers(url)
        for plain in {*servers.seeds, servers.at("host", 1) if servers.before else url}:
            # Creates a connection without opening it, which finds options that redis-py rejects.
            pool: Any = ConnectionPool.from_url(plain)
            pool.make_connection()
        if servers.kind is Kind.CLUSTER:
            RedisCluster.from_url(servers.seeds[0])
    except (ValueError, TypeError, AttributeError):
        raise ValueError(f"not an address like {kind_of(url).value}") from None
    return value


def _read_pem(value: str, kind: str) -> str:
    """Return a key in PEM, or what is in the file of that name."""
    if value.lstrip().startswith("-----BEGIN"):
        return value
    try:
        return Path(value).read_text()
    except (OSError, ValueError):
        raise ValueError(f"neither a {kind} key in PEM nor a file that holds one") from None


def _pem(value: str) -> str:
    text = _read_pem(value, "public")
    suiting_algorithms(text)
    return text


def _private_pem(value: SecretStr) -> SecretStr:
    text = _read_pem(value.get_secret_value(), "private")
    load_signing_key(text)
    return SecretStr(text)


def _public_url(value: str) -> str:
    parts = urlsplit(value)
    is_plain = not parts.query and not parts.fragment and not parts.username and value.isascii()
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_plain:
        raise ValueError("not an address like https://hub.example")
    return value.rstrip("/")


def _secret(value: SecretStr) -> SecretStr:
    if value.get_secret_value().lstrip().startswith("-----BEGIN"):
        raise ValueError("a key in PEM is not a secret: see HUB_JWT_PUBLIC_KEY")
    prepare_secret(value.get_secret_value())
    return value


def _long_secret(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 16:
        raise ValueError("must have at least 16 characters")
    return value


def _rate(value: Any) -> Any:
    return read_rate(value) if isinstance(value, str) else value


def _write_rate(rate: Rate | None) -> str:
    return "off" if rate is None else str(rate)


Limit = Annotated[Rate | None, NoDecode, BeforeValidator(_rate), PlainSerializer(_write_rate)]
Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Algorithms = Annotated[Texts, AfterValidator(_algorithms)]
Transports = Annotated[Texts, AfterValidator(_transports)]
AdminTokens = Annotated[Texts, AfterValidator(_admin_tokens)]
Clients = Annotated[Texts, AfterValidator(_clients)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(browser_origin)], ...], NoDecode, BeforeValidator(_split)]  # fmt: skip  # noqa: E501
LoginPages = Annotated[tuple[Annotated[str, AfterValidator(_login_page)], ...], NoDecode, BeforeValidator(_split), AfterValidator(_login_pages)]  # fmt: skip  # noqa: E501
Networks = Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], NoDecode, BeforeValidator(_split)]  # fmt: skip  # noqa: E501
Address = Annotated[str, AfterValidator(_address)]
FetchedAddress = Annotated[str, AfterValidator(_fetched)]
PublicAddress = Annotated[str, AfterValidator(_public_url)]
RedisAddress = Annotated[SecretStr, AfterValidator(_redis)]
Issuer = Annotated[str, AfterValidator(_issuer)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
LongSecret = Annotated[SecretStr, AfterValidator(_long_secret)]
PublicKey = Annotated[str, AfterValidator(_pem)]
PrivateKey = Annotated[SecretStr, AfterValidator(_private_pem)]
