"""The keys that tokens are verified with, and where they come from."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

import aiohttp
import jwt
import msgspec
import structlog

from hub.core.key_schedule import KeySchedule
from hub.core.key_set import (
    MAX_BODY_BYTES,
    discovery_addresses,
    find_key,
    read_key_set,
    read_metadata,
)
from hub.core.tokens import Header
from hub.errors import HubError, TokenInvalid, Unavailable

log = structlog.get_logger(__name__)

FETCH_TIMEOUT = 2.0
"""Seconds that a fetch may take, with all its requests."""


class KeyUnknown(TokenInvalid):
    """A token is signed with a key that its issuer does not publish.

    That is certain if the keys were fetched after the token arrived, or the key is published for
    another purpose. Otherwise it may be a new key, and ``wait`` says in how many seconds the keys
    may be fetched for it.
    """

    def __init__(self, wait: float | None = None) -> None:
        super().__init__("signed with a key that the issuer does not publish")
        self.wait = wait

    @property
    def is_certain(self) -> bool:
        """Whether the key is none of the issuer's."""
        return self.wait is None


class KeyUncertain(Unavailable):
    """A token may be signed with a new key of its issuer, whose keys cannot be fetched now.

    It may as well be forged, so it counts as a guess of whoever presents it.
    """

    def of_somebody_else(self) -> Unavailable:
        """Return the same about a token that a trusted caller asks about: that is no guess."""
        return Unavailable(self.detail, retry_after=self.retry_after)


@contextlib.contextmanager
def sparing_new_keys() -> Iterator[None]:
    """Convert `KeyUnknown` raised in the context, unless it is certain, to `KeyUncertain`.

    For messages that are sent again only if the answer says so: a refusal would lose a logout.

    Raises:
        KeyUncertain: in place of `KeyUnknown`.
    """
    try:
        yield
    except KeyUnknown as error:
        if error.wait is None:
            raise
        raise KeyUncertain("its key may be a new one", retry_after=error.wait) from None


Locate: TypeAlias = Callable[[aiohttp.ClientSession, str, Any], Awaitable[str]]
"""Returns the address of a key set, from the address to begin with and the TLS to use; may raise
what `fetch_keys` may."""


class Keys(Protocol):
    """Finds the key that a token was signed with, by the token's header.

    A verification is void once ``generation`` has changed.
    """

    @property
    def generation(self) -> int:
        """A number that changes whenever the keys may have changed."""
        ...

    async def find(self, header: Header) -> Sequence[Any]:
        """Return the keys for ``header.alg``, at least one.

        Raises:
            KeyUnknown: when there is none.
            Unavailable: when that is not known, since the keys cannot be fetched now.
        """
        ...

    def has(self, header: Header, key: Any) -> bool:
        """Return whether ``find`` would return this key, by what is known without fetching."""
        ...


def _material(key: Any) -> Any:
    """Return a key as the settings have it, since an issuer's keys may be in them next time."""
    return key.key if isinstance(key, jwt.PyJWK) else key


class StaticKeys:
    """Secrets or a public key from the settings; two secrets while one replaces the other."""

    @property
    def generation(self) -> int:
        """The keys do not change."""
        return 0

    def __init__(self, *keys: Any) -> None:
        self._keys = keys

    async def find(self, header: Header) -> Sequence[Any]:
        """Return the keys."""
        return self._keys

    def has(self, header: Header, key: Any) -> bool:
        """Return whether this is one of the keys."""
        return _material(key) in self._keys


class JwksKeys:
    """The published keys of an issuer (RFC 7517).

    ``url`` is the address of the key set; with ``discovers`` it is the issuer, and with ``locate``
    it is whatever that function finds the address by.
    The set is fetched as `KeySchedule` says, one request at a time. Who needs a key that is there
    never waits. While fetching fails, the last keys stay in use. Call `renew_old` regularly, and
    `aclose` in the end.
    """

    def __init__(
        self,
        url: str,
        *,
        discovers: bool = False,
        locate: Locate | None = None,
        ssl: Any = True,
    ) -> None:
        self._url = url
        self._locate = discover if discovers else locate
        self._ssl = ssl
        self._keys: list[jwt.PyJWK] = []
        self._schedule = KeySchedule()
        self._flight: asyncio.Task[None] | None = None
        self._http: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        """Close the connection that the keys are fetched over."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.gather(self._flight, return_exceptions=True)
        if self._http is not None:
            await self._http.close()

    @property
    def generation(self) -> int:
        """How often the keys were fetched."""
        return self._schedule.fetched

    async def find(self, header: Header) -> Sequence[jwt.PyJWK]:
        """Return the key with the header's ``kid``; without one, the only key for its ``alg``.

        Raises:
            KeyUnknown: when there is none, as far as is known.
            KeyUncertain: when there is none, but the last fetch failed.
            Unavailable: when there are no keys at all.
        """
        if (key := find_key(self._keys, header)) is not None:
            self.renew_old()
            return (key,)
        before = self._schedule.fetched
        # A fetch that is under way may have been answered before the key was published.
        is_late = self._flight is not None
        if is_late or not self._schedule.wait(time.monotonic()):
            await self._refresh()
            key = find_key(self._keys, header)
            now, found = time.monotonic(), key is not None
            self._schedule = self._schedule.after_look(now, found=found)
        if key is not None:
            return (key,)
        raise self._refusal(header, is_new=self._schedule.fetched > before and not is_late)

    def _refusal(self, header: Header, *, is_new: bool) -> HubError:
        """Return why a key is not found; ``is_new`` if what is known is newer than the token."""
        wait = self._schedule.wait(time.monotonic())
        if not self._keys:
            return Unavailable("the issuer's keys could not be fetched", retry_after=wait)
        is_for_others = header.kid is not None and header.kid in {key.key_id for key in self._keys}
        if is_for_others:
            return KeyUnknown()
        if self._schedule.is_failing:
            detail = "its key may be a new one, and the issuer's keys could not be fetched"
            return KeyUncertain(detail, retry_after=wait)
        return KeyUnknown(None if is_new else wait)

    def has(self, header: Header, key: Any) -> bool:
        """Return whether this key was published for the header when keys were last fetched."""
        found = find_key(self._keys, header)
        return found is not None and bool(found.key == _material(key))

    async def renew(self) -> None:
        """Fetch the keys again if they were ever needed, and at once; see `find` for failures.

        Raises:
            Unavailable: when they are closed meanwhile.
        """
        if not self._schedule.fetched:
            return
        if self._flight is not None:
            # It may have been answered before what is to be learned now.
            await asyncio.wait([self._flight])
        await self._refresh()

    def renew_old(self) -> None:
        """Begin to fetch keys again that are due, without waiting."""
        if self._flight is None and self._schedule.is_due(time.monotonic()):
            self._begin()

    def _begin(self) -> asyncio.Task[None]:
        self._flight = asyncio.create_task(self._fetch())
        self._flight.add_done_callback(self._land)
        return self._flight

    async def _refresh(self) -> None:
        flight = self._flight or self._begin()
        # Not awaited itself: a caller that is cancelled must not cancel the fetch that others wait
        # for, and the end of a fetch, when the settings are read again, must not cancel callers.
        await asyncio.wait([flight])
        if flight.cancelled():
            raise Unavailable("the issuer's keys were replaced in the settings")
        flight.result()

    def _land(self, flight: asyncio.Task[None]) -> None:
        self._flight = None

    async def _fetch(self) -> None:
        if self._http is None:
            self._http = aiohttp.ClientSession()
        succeeded = False
        try:
            self._keys = await fetch_keys(self._http, self._url, self._locate, self._ssl)
            succeeded = True
        except FETCH_FAILURES as error:
            text = str(error) or type(error).__name__
            log.warning("the issuer's keys could not be fetched", issuer=self._url, error=text)
        finally:
            self._schedule = self._schedule.after_fetch(time.monotonic(), succeeded=succeeded)


class TooLarge(ValueError):
    """An answer is larger than the hub reads."""


FETCH_FAILURES = (aiohttp.ClientError, TimeoutError, OSError, ValueError, RecursionError)
"""What `fetch_keys` may raise."""


def renew_old(sources: Iterable[Keys]) -> None:
    """Begin to fetch those keys again that are due; see `JwksKeys.renew_old`."""
    for keys in sources:
        if isinstance(keys, JwksKeys):
            keys.renew_old()


async def renew_all(sources: Iterable[Keys]) -> None:
    """Fetch again those keys that are fetched at all, side by side; see `JwksKeys.renew`."""
    renewing = [keys.renew() for keys in sources if isinstance(keys, JwksKeys)]
    # The end of a fetch, when the settings are read again, is no failure.
    await asyncio.gather(*renewing, return_exceptions=True)


async def fetch_keys(
    http: aiohttp.ClientSession, url: str, locate: Locate | None = None, ssl: Any = True
) -> list[jwt.PyJWK]:
    """Return the keys of the set at ``url``, or at the address that ``locate`` finds by it.

    Raises:
        ClientError, TimeoutError, OSError, ValueError, RecursionError: when that fails, or takes
            longer than `FETCH_TIMEOUT`.
    """
    async with asyncio.timeout(FETCH_TIMEOUT):
        if locate is not None:
            url = await locate(http, url, ssl)
        body = await fetch_bytes(http, url, ssl)
    keys, passed_over = read_key_set(body)
    if passed_over:
        log.warning("ignoring weak keys of an issuer", issuer=url, because=passed_over)
    return keys


async def discover(http: aiohttp.ClientSession, issuer: str, ssl: Any = True) -> str:
    """Return the address of an issuer's key set, from its metadata.

    That is by OpenID Connect Discovery 1.0 section 4, else by RFC 8414 section 3. Metadata of
    another issuer is refused (sections 4.3 and 3.3).

    Raises:
        ClientError, TimeoutError, OSError, ValueError, RecursionError: when that fails.
    """
    failures = []
    for url in discovery_addresses(issuer):
        try:
            document = msgspec.json.decode(await fetch_bytes(http, url, ssl))
        except FETCH_FAILURES as error:
            failures.append(f"{url}: {str(error) or type(error).__name__}")
            continue
        return read_metadata(document, issuer, url)
    raise ValueError("; ".join(failures))


async def fetch_bytes(http: aiohttp.ClientSession, url: str, ssl: Any = True) -> bytes:
    """Fetch an address: at most 1 MB, without following redirects.

    Raises:
        ClientError, TimeoutError, OSError, ValueError: when the answer is anything but 200.
    """
    async with http.get(url, allow_redirects=False, ssl=ssl, raise_for_status=True) as answer:
        if answer.status != 200:
            raise ValueError(f"answered {answer.status}")
        return await read_body(answer)


async def read_body(answer: aiohttp.ClientResponse) -> bytes:
    """Return the body of an answer: at most 1 MB.

    Raises:
        ClientError, TimeoutError, OSError, TooLarge: when that fails.
    """
    body = await answer.content.read(MAX_BODY_BYTES + 1)
    while len(body) <= MAX_BODY_BYTES and not answer.content.at_eof():
        body += await answer.content.read(MAX_BODY_BYTES + 1 - len(body))
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge("larger than 1 MB")
    return body
