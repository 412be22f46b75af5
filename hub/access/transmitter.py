"""The client of one transmitter of security events: its keys, its streams, and polls.

Names of members are those of OpenID Shared Signals Framework 1.0 (sections 7 and 8), and of RFC
8936 for polls.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, TypeAlias

import aiohttp
import msgspec

from hub.access.keys import FETCH_FAILURES, FETCH_TIMEOUT, JwksKeys, fetch_bytes
from hub.access.transmitter_calls import Calls, TransmitterFailed, check_url, read_json
from hub.core.issuers import check_address
from hub.core.transmitters import Delivery, Transmitter

CONFIGURATION_LIFETIME = 3600.0
"""Seconds after which a transmitter's configuration is fetched again."""

LONG_POLL = 60.0
"""The time limit of a poll in seconds; a transmitter may wait for events before it answers."""

PUSH = "urn:ietf:rfc:8935"
POLL = "urn:ietf:rfc:8936"
METHODS = {
    "https://schemas.openid.net/secevent/risc/delivery-method/push": PUSH,
    "https://schemas.openid.net/secevent/risc/delivery-method/poll": POLL,
}
"""Delivery methods by their names before SSF 1.0."""

Status: TypeAlias = Literal["enabled", "paused", "disabled"]


class Configuration(msgspec.Struct):
    """A transmitter's configuration (section 7.1)."""

    issuer: str
    jwks_uri: str | None = None
    configuration_endpoint: str | None = None
    status_endpoint: str | None = None
    verification_endpoint: str | None = None
    default_subjects: str | None = None


class StreamDelivery(msgspec.Struct):
    """How a stream is delivered (section 6.1); ``endpoint_url`` is the receiver's for a push."""

    method: str
    endpoint_url: str | None = None

    @property
    def is_poll(self) -> bool:
        """Whether it is polled."""
        return METHODS.get(self.method, self.method) == POLL


class Stream(msgspec.Struct):
    """An event stream's configuration (section 8.1.1)."""

    stream_id: str
    delivery: StreamDelivery
    iss: str | None = None
    aud: str | list[str] = []
    events_requested: list[str] = []
    events_delivered: list[str] = []

    @property
    def audience(self) -> tuple[str, ...]:
        """Whom its events are for; empty if the transmitter does not say."""
        return (self.aud,) if isinstance(self.aud, str) else tuple(self.aud)


STREAMS: Any = list[Stream] | Stream


class StreamStatus(msgspec.Struct):
    """An event stream's status (section 8.1.2)."""

    status: str
    reason: str | None = None


class Poll(msgspec.Struct, rename="camel", omit_defaults=True):
    """What a poll asks for (RFC 8936 section 2.2)."""

    max_events: int
    return_immediately: bool = False
    ack: list[str] = []
    set_errs: dict[str, Mapping[str, str]] = {}


class Polled(msgspec.Struct):
    """The answer to a poll (RFC 8936 section 2.3): what stands for a token, by ``jti``."""

    sets: dict[str, Any] = {}


class TransmitterClient:
    """Calls a transmitter's API. All methods raise `TransmitterFailed`. Call `aclose` in the end.

    ``keys`` are those that its tokens are verified with.
    """

    def __init__(self, transmitter: Transmitter, *, ssl: Any = True) -> None:
        self.transmitter = transmitter
        self.keys = make_keys(transmitter, ssl=ssl)
        self._ssl = ssl
        self._calls = Calls(transmitter.access, ssl=ssl)
        self._configuration: Configuration | None = None
        self._fetched_at = 0.0

    async def aclose(self) -> None:
        """Close the connections."""
        await self.keys.aclose()
        await self._calls.aclose()

    async def configuration(self) -> Configuration:
        """Return the transmitter's configuration, which is fetched hourly."""
        age = time.monotonic() - self._fetched_at
        if self._configuration is None or age > CONFIGURATION_LIFETIME:
            self._configuration = await self._fetch_configuration()
            self._fetched_at = time.monotonic()
        return self._configuration

    async def _fetch_configuration(self) -> Configuration:
        url = self.transmitter.configuration_url
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as http:
                return await fetch_configuration(http, self.transmitter.iss, url, self._ssl)
        except FETCH_FAILURES as error:
            why = str(error) or type(error).__name__
            raise TransmitterFailed(f"no configuration at {url}: {why}") from None

    # ---- Streams ----

    async def streams(self) -> list[Stream]:
        """Return the streams that the transmitter has for us (section 8.1.1.2)."""
        url = await self._endpoint("configuration_endpoint")
        body = await self._calls.call("GET", url)
        # A list, but one stream stands alone in drafts.
        found: list[Stream] | Stream = read_json(body, STREAMS, f"GET {url}")
        return [self._check(one) for one in (found if isinstance(found, list) else [found])]

    async def create(self, delivery: Mapping[str, str], events: Sequence[str]) -> Stream:
        """Create a stream (section 8.1.1.1), with the values of the member ``delivery``."""
        url = await self._endpoint("configuration_endpoint")
        asked = {
            "delivery": delivery,
            "events_requested": events,
            "description": "logout-hub",
        }
        body = await self._calls.call("POST", url, body=asked)
        return self._check(read_json(body, Stream, f"POST {url}"))

    async def delete(self, stream_id: str) -> None:
        """Delete a stream (section 8.1.1.5)."""
        url = await self._endpoint("configuration_endpoint")
        await self._calls.call("DELETE", url, query={"stream_id": stream_id})

    async def status(self, stream_id: str) -> StreamStatus:
        """Return a stream's status (section 8.1.2.1)."""
        url = await self._endpoint("status_endpoint")
        body = await self._calls.call("GET", url, query={"stream_id": stream_id})
        return read_json(body, StreamStatus, f"GET {url}")

    async def change_status(self, stream_id: str, status: Status) -> None:
        """Pause a stream, or resume it (section 8.1.2.2)."""
        url = await self._endpoint("status_endpoint")
        await self._calls.call("POST", url, body={"stream_id": stream_id, "status": status})

    async def verify(self, stream_id: str, state: str) -> None:
        """Have a verification event sent that holds ``state`` (section 8.1.4.2)."""
        url = await self._endpoint("verification_endpoint")
        await self._calls.call("POST", url, body={"stream_id": stream_id, "state": state})

    async def poll(self, url: str, poll: Poll) -> Polled:
        """Poll a stream at its endpoint (RFC 8936)."""
        body = await self._calls.call("POST", url, body=poll, timeout=LONG_POLL)
        # Some transmitters send an empty body if there are no events.
        return read_json(body or b"{}", Polled, f"POST {url}")

    async def _endpoint(self, member: str) -> str:
        url: str | None = getattr(await self.configuration(), member)
        if url is None:
            raise TransmitterFailed(
                f"{self.transmitter.iss} has no {member}: its streams are set up elsewhere"
            )
        self.check_endpoint(member, url)
        return url

    def check_endpoint(self, what: str, url: str) -> None:
        """Check that a URL which the transmitter names may be called.

        Only a transmitter on loopback may name others there.

        Raises:
            TransmitterFailed: if it may not.
        """
        check_url(what, url)
        if url.startswith("http:") and not self.transmitter.configuration_url.startswith("http:"):
            raise TransmitterFailed(f"{what} is {url!r}: not https, as the configuration is")

    def _check(self, stream: Stream) -> Stream:
        if stream.iss not in (None, self.transmitter.iss):
            raise TransmitterFailed(f"stream {stream.stream_id} is of {stream.iss}")
        return stream


def find_own(streams: Sequence[Stream], transmitter: Transmitter) -> list[Stream]:
    """Return those of a transmitter's streams that the settings mean, if any.

    Their delivery is that of the settings, and they are for our ``aud``; without such a stream,
    those that do not say whom they are for. Events of a stream for somebody else would be refused,
    and so be lost to whoever that is.
    """
    delivered = _delivered(streams, transmitter)
    wanted = transmitter.rules.audience or ()
    ours = [one for one in delivered if not set(one.audience).isdisjoint(wanted)]
    return ours or [one for one in delivered if not one.audience]


def choose_own(streams: Sequence[Stream], transmitter: Transmitter) -> list[Stream]:
    """Return the streams that the settings mean, at least one.

    Raises:
        TransmitterFailed: if there is none.
    """
    if own := find_own(streams, transmitter):
        return own
    names = {name for one in _delivered(streams, transmitter) for name in one.audience}
    if not names:
        raise TransmitterFailed(
            f"{transmitter.iss} has no stream for {transmitter.delivery.value}: run logout-hub "
            "streams create"
        )
    raise TransmitterFailed(
        f"{transmitter.iss} has streams for {', '.join(sorted(names))}, and none for "
        f"{', '.join(transmitter.rules.audience or ())}: correct aud, or run logout-hub streams "
        "create"
    )


def _delivered(streams: Sequence[Stream], transmitter: Transmitter) -> list[Stream]:
    is_poll = transmitter.delivery is Delivery.POLL
    return [one for one in streams if one.delivery.is_poll is is_poll]


def has_access(transmitter: Transmitter) -> bool:
    """Return whether the settings let the hub call a transmitter's API."""
    return transmitter.access.token is not None or transmitter.access.client_id is not None


def make_keys(transmitter: Transmitter, *, ssl: Any = True) -> JwksKeys:
    """Return the keys of a transmitter, from where the settings or its configuration say."""
    if transmitter.jwks_url is not None:
        return JwksKeys(transmitter.jwks_url, ssl=ssl)
    locate = partial(_locate_key_set, transmitter.iss)
    return JwksKeys(transmitter.configuration_url, locate=locate, ssl=ssl)


async def fetch_configuration(
    http: aiohttp.ClientSession, iss: str, url: str, ssl: Any = True
) -> Configuration:
    """Return the configuration at ``url``, which must be of the transmitter ``iss``.

    Raises:
        ClientError, TimeoutError, OSError, ValueError, RecursionError: when that fails.
    """
    found = msgspec.json.decode(await fetch_bytes(http, url, ssl), type=Configuration)
    if found.issuer != iss:
        raise ValueError(f"it is about the issuer {found.issuer[:256]!r}, not {iss!r}")
    return found


async def _locate_key_set(iss: str, http: aiohttp.ClientSession, url: str, ssl: Any) -> str:
    found = await fetch_configuration(http, iss, url, ssl)
    if found.jwks_uri is None:
        raise ValueError(f"{url} names no jwks_uri")
    check_address("jwks_uri", found.jwks_uri)
    return found.jwks_uri
