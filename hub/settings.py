"""The settings: one table, with the checks of those that depend on each other."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from hub.core.clients import OAuthClient, read_client_text
from hub.core.issuers import ASYMMETRIC
from hub.core.rate import Rate
from hub.core.rights import Credential, read_credentials
from hub.core.verification_keys import ALGORITHMS, HASH_BYTES, suiting_algorithms
from hub.setting_types import (
    Address,
    AdminTokens,
    Algorithms,
    Clients,
    FetchedAddress,
    Issuer,
    Limit,
    LoginPages,
    LongSecret,
    Networks,
    Origins,
    PrivateKey,
    PublicAddress,
    PublicKey,
    RedisAddress,
    Secret,
    Transports,
)

PREFIX = "HUB_"


class SettingsError(ValueError):
    """A setting is missing, unknown, malformed or unsafe; the text is one line for an operator."""


class Settings(BaseSettings):
    """All settings. Times are in seconds. Secrets are masked wherever they are printed."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    redis_url: RedisAddress | None = Field(
        None, description="Redis to share state through; unset: in this process's memory"
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(
        8080,
        ge=0,
        le=65535,
        validation_alias=AliasChoices("HUB_PORT", "PORT"),
        description="port to listen on; PORT is read too",
    )
    jwt_secret: Secret | None = Field(None, description="secret that tokens are signed with")
    jwt_secret_previous: Secret | None = Field(
        None, description="secret that HUB_JWT_SECRET replaces: verifies tokens, signs none"
    )
    jwt_public_key: PublicKey | None = Field(
        None, description="public key of the issuer, in PEM, or a file that holds it"
    )
    jwt_jwks_url: FetchedAddress | None = Field(
        None, description="https address of the issuer's JSON Web Key Set"
    )
    jwt_algorithms: Algorithms = Field(
        (), description="algorithms to accept; unset: the usual one for the key, all for a key set"
    )
    jwt_issuer: Issuer | None = Field(
        None, description="iss that every token must have; without a key, its keys are discovered"
    )
    jwt_audience: str | None = Field(
        None, description="aud that every token must have; * accepts any"
    )
    issuers: str | None = Field(
        None, description="TOML file that names several issuers, instead of the HUB_JWT_ settings"
    )
    jwt_leeway: float = Field(
        0, ge=0, le=300, description="how far the issuer's clock may differ from the store's"
    )
    token_max_lifetime: float = Field(
        86400, ge=1, le=31536000, description="longest exp - iat that is accepted"
    )
    login_max_lifetime: float = Field(
        2592000,
        ge=1,
        le=31536000,
        description="how long a login may be refreshed, and so how long a logout is remembered",
    )
    cookie_name: str | None = Field(
        None, pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", description="cookie that carries the token"
    )
    cookie_domain: str | None = Field(
        None, pattern=r"^[.0-9A-Za-z-]+$", description="Domain of that cookie, to delete it by"
    )
    allowed_origins: Origins = Field(
        (), description="web origins that may use the hub from a browser"
    )
    login_url: Address | None = Field(
        None, description="URL or path of the login page, which pages of the hub link to"
    )
    verify_redirects: LoginPages = Field(
        (), description="login pages that /verify?redirect=NAME may send browsers to, as NAME=URL"
    )
    verify_cache: int = Field(
        0, ge=0, le=60, description="how long a proxy may keep a 204 of /verify: a logout's delay"
    )
    transports: Transports = Field(
        ("polling", "websocket"), description="Engine.IO transports to offer"
    )
    replica: Annotated[str, Field(pattern=r"^[0-9A-Za-z._-]{1,64}$")] = Field(
        default_factory=lambda: secrets.token_hex(4),
        description="name of this replica; unset: random",
    )
    admin_token: LongSecret | None = Field(None, description="bearer token for admin calls")
    admin_tokens: AdminTokens = Field(
        (), description="more of them, as NAME:SHA256HEX:SCOPE+SCOPE; see logout-hub admin-token"
    )
    guard_token: LongSecret | None = Field(
        None, description="bearer token of guards, which may read the feed of logouts"
    )
    clients: Clients = Field(
        (), description="clients that may introspect and revoke tokens, as ID:SHA256HEX"
    )
    public_url: PublicAddress | None = Field(
        None, description="address of this hub as others reach it, and its name in what it signs"
    )
    introspection_key: PrivateKey | None = Field(
        None,
        description="private key in PEM, or a file that holds it, to sign introspections with",
    )
    bus_secret: LongSecret | None = Field(
        None,
        description="secret that signs what replicas publish; unset: derived from the admin token "
        "or the JWT secret",
    )
    admin_host: str = Field(
        "127.0.0.1", description="address of the admin listener, with HUB_ADMIN_PORT"
    )
    admin_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="port of a separate listener for /admin, /metrics and /readyz",
    )
    notice_grace: float = Field(
        2,
        ge=0,
        le=30,
        description="how long a client may take to acknowledge a notification",
    )
    connect_timeout: float = Field(
        5, gt=0, le=60, description="how long a client may take to send CONNECT"
    )
    fence_seconds: float = Field(
        10,
        ge=3,
        le=300,
        description="close sockets after this long without proof that logouts are followed",
    )
    on_data_loss: Literal["fail_closed", "cut_off"] = Field(
        "fail_closed",
        description="after Redis has lost data: refuse everything, or end all sessions",
    )
    wait_disk: bool = Field(
        False, description="answer a logout only once Redis has written it to disk"
    )
    wait_replicas: int = Field(
        0,
        ge=0,
        le=10,
        description="answer a logout only once this many replicas of Redis have it",
    )
    trusted_proxies: Networks = Field(
        (), description="addresses of proxies whose X-Forwarded-For is trusted"
    )
    receipt_lifetime: float = Field(
        86400, ge=60, le=2592000, description="how long the receipt of a logout can be read"
    )
    log_format: Literal["text", "json"] = Field("text", description="format of log lines")
    audit_file: str | None = Field(
        None, description="file to append the audit log to; each replica needs its own"
    )
    max_sessions: int = Field(1000, ge=1, description="most sessions that a user may have")
    max_body: int = Field(
        65536, ge=1024, le=16777216, description="largest request body and message, in bytes"
    )

    limit_refused: Limit = Field(
        Rate(5, 100),
        description="refused or abandoned attempts per address, as PER_SECOND/BURST, or off",
    )
    limit_pending: int = Field(
        200, ge=1, description="clients per address that have not sent CONNECT yet"
    )
    limit_pending_total: int = Field(
        5000, ge=1, description="clients that have not sent CONNECT yet, in total"
    )
    limit_sockets_session: int = Field(300, ge=1, description="sockets per session")
    limit_sockets_user: int = Field(1000, ge=1, description="sockets per user")
    limit_events: Limit = Field(Rate(10, 20), description="events per socket; more close it")
    limit_logouts: Limit = Field(Rate(1, 30), description="logouts per user, over all replicas")
    limit_admin: Limit = Field(Rate(50, 50), description="admin calls per credential")
    limit_calls: Limit = Field(Rate(50, 200), description="HTTP calls per session, except /verify")
    limit_clients: Limit = Field(
        Rate(1000, 2000), description="introspections and revocations per client"
    )
    limit_guards: int = Field(2000, ge=1, description="guards that read the feed of a replica")
    limit_read_seconds: float = Field(
        10, gt=0, le=300, description="time for the headers, and for the body, of a request"
    )
    limit_write_seconds: float = Field(
        10, gt=0, le=300, description="time for a client to read what it was sent"
    )

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: Any, **named: Any
    ) -> tuple[Any, ...]:
        """Return the sources of settings: the given options, and the environment."""
        return named["init_settings"], named["env_settings"]

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        sources = [self.jwt_secret, self.jwt_public_key, self.jwt_jwks_url]
        if sum(source is not None for source in sources) > 1:
            raise ValueError("set one of HUB_JWT_SECRET, HUB_JWT_PUBLIC_KEY, HUB_JWT_JWKS_URL")
        named = (self.jwt_issuer, self.jwt_audience, self.jwt_secret_previous)
        others = (*named, *sources, *self.jwt_algorithms)
        if self.issuers is not None and any(other is not None for other in others):
            raise ValueError("HUB_ISSUERS: names the issuers, so no HUB_JWT_ setting names another")
        for name in self.jwt_algorithms:
            if any(sources) and name not in self._suiting:
                raise ValueError(f"HUB_JWT_ALGORITHMS: {name} does not suit the key that is set")
        for field in ("jwt_secret", "jwt_secret_previous"):
            secret: SecretStr | None = getattr(self, field)
            need = max(HASH_BYTES.get(name, 0) for name in self.algorithms)
            if secret is not None and len(secret.get_secret_value().encode()) < need:
                name = PREFIX + field.upper()
                raise ValueError(f"{name} must have at least {need} bytes (RFC 7518, 3.2)")
        return self

    @model_validator(mode="after")
    def _check_cookie(self) -> Self:
        if (self.cookie_name or "").startswith("__Host-") and self.cookie_domain is not None:
            raise ValueError("HUB_COOKIE_DOMAIN: a __Host- cookie has no domain (RFC 6265bis)")
        return self

    @model_validator(mode="after")
    def _check_signer(self) -> Self:
        if self.introspection_key is not None and self.public_url is None:
            raise ValueError("HUB_INTROSPECTION_KEY: needs HUB_PUBLIC_URL, in whose name it signs")
        return self

    @model_validator(mode="after")
    def _check_listeners(self) -> Self:
        # What a listener serves is decided by the port that a connection came to.
        if self.admin_port and self.admin_port == self.port:
            raise ValueError(
                "HUB_ADMIN_PORT: must not be HUB_PORT, even with another HUB_ADMIN_HOST"
            )
        return self

    @property
    def _suiting(self) -> tuple[str, ...]:
        if self.jwt_public_key is not None:
            return suiting_algorithms(self.jwt_public_key)
        is_secret = self.jwt_secret is not None
        return tuple(name for name in ALGORITHMS if name.startswith("HS") == is_secret)

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms that are accepted; by default those that suit the kind of key."""
        is_set = self.jwt_secret is None and self.jwt_public_key is None
        return self.jwt_algorithms or (ASYMMETRIC if is_set else self._suiting[:1])

    @property
    def admin_credentials(self) -> tuple[Credential, ...]:
        """The credentials of HUB_ADMIN_TOKENS."""
        return read_credentials(self.admin_tokens)

    @property
    def named_clients(self) -> tuple[OAuthClient, ...]:
        """The clients of HUB_CLIENTS."""
        return tuple(map(read_client_text, self.clients))

    @property
    def login_pages(self) -> dict[str, str]:
        """The login pages of HUB_VERIFY_REDIRECTS, by name."""
        pages = (page.partition("=") for page in self.verify_redirects)
        return {name: url for name, _, url in pages}

    @property
    def shared_secret(self) -> str | None:
        """A secret that only replicas share, to derive keys from; None if none is set."""
        secrets_ = (self.bus_secret, self.admin_token, self.jwt_secret)
        return next((s.get_secret_value() for s in secrets_ if s is not None), None)

    @property
    def has_key(self) -> bool:
        """Whether there is anything to verify tokens with."""
        sources = (self.jwt_secret, self.jwt_public_key, self.jwt_jwks_url, self.jwt_issuer)
        return self.issuers is not None or any(sources)
