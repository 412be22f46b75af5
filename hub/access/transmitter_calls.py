"""Calls to a transmitter's API: authenticated, bounded, and without redirects."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import quote_plus

import aiohttp
import msgspec

from hub.access.keys import TooLarge, read_body
from hub.core.issuers import check_address
from hub.core.transmitters import Access

TIMEOUT = 10.0
"""Seconds in which a call is answered."""

USUAL_LIFETIME = 300.0
"""The assumed lifetime of an access token in seconds, if the response does not state it."""

LAST_SECONDS = 30.0
"""An access token is not used in its last seconds, or the last tenth of its lifetime."""

MAX_DETAIL = 200

Kind = TypeVar("Kind")


class TransmitterFailed(Exception):
    """A call to a transmitter failed; the text is one line.

    ``status`` is that of its answer, ``retry_after`` how many seconds it asks to wait.
    ``is_late`` if it did not answer in time, ``is_large`` if its answer was too large.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        is_late: bool = False,
        is_large: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.retry_after = retry_after
        self.is_late = is_late
        self.is_large = is_large


class _Token(msgspec.Struct):
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the name of a type
    expires_in: float | None = None


class Calls:
    """Calls one transmitter, with a bearer token or client credentials (RFC 6749 section 4.4).

    An access token is used until shortly before it expires. After a 401, one more is requested.
    Call `aclose` in the end.
    """

    def __init__(self, access: Access, *, ssl: Any = True) -> None:
        self._access = access
        self._ssl = ssl
        self._token: str | None = None
        self._use_until = 0.0
        self._getting = asyncio.Lock()
        self._http: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()

    async def call(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        timeout: float = TIMEOUT,
    ) -> bytes:
        """Return the body of the answer to a call; ``body`` is what is sent, as JSON.

        Raises:
            TransmitterFailed: if it is not answered with success.
        """
        check_url("its endpoint", url)
        data = None if body is None else msgspec.json.encode(body)
        headers = {"Accept": "application/json"}
        if data is not None:
            # A poll tells in English what was wrong with events (RFC 8936 section 2.2).
            headers |= {"Content-Type": "application/json", "Content-Language": "en"}
        for is_last in (False, True):
            token = await self._bearer()
            headers |= {} if token is None else {"Authorization": f"Bearer {token}"}
            try:
                return await self._send(method, url, headers, query, data, timeout)
            except TransmitterFailed as error:
                if is_last or error.status != 401 or token in (None, self._access.token):
                    raise
                self._forget(token)
        raise AssertionError  # the second round returns or raises

    # ---- Access tokens ----

    async def _bearer(self) -> str | None:
        access = self._access
        if access.client_id is None or access.token_url is None:
            return access.token
        async with self._getting:
            if self._token is None or time.monotonic() >= self._use_until:
                await self._get_token(access.client_id, access.token_url)
            return self._token

    def _forget(self, token: str | None) -> None:
        if self._token == token:
            self._token = None

    async def _get_token(self, client_id: str, url: str) -> None:
        check_url("token_url", url)
        # Both are form-encoded before (RFC 6749 section 2.3.1).
        pair = f"{quote_plus(client_id)}:{quote_plus(self._access.client_secret or '')}"
        form = {"grant_type": "client_credentials"}
        if self._access.scope is not None:
            form["scope"] = self._access.scope
        headers = {
            "Accept": "application/json",
            "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
        }
        try:
            answer = await self._send("POST", url, headers, None, form, TIMEOUT)
            token = read_json(answer, _Token, f"POST {url}")
        except TransmitterFailed as error:
            raise TransmitterFailed(
                f"no access token: {error}",
                # It must not pass for a refusal by the API.
                status=None if error.status == 401 else error.status,
                retry_after=error.retry_after,
            ) from None
        lifetime = USUAL_LIFETIME if token.expires_in is None else token.expires_in
        self._token = token.access_token
        self._use_until = time.monotonic() + lifetime - min(LAST_SECONDS, lifetime / 10)

    # ---- HTTP ----

    async def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None,
        data: bytes | Mapping[str, str] | None,
        timeout: float,
    ) -> bytes:
        if self._http is None:
            self._http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        what = f"{method} {url}"
        try:
            async with self._http.request(
                method,
                url,
                params=query,
                headers=headers,
                data=data,
                allow_redirects=False,
                ssl=self._ssl,
                timeout=aiohttp.ClientTimeout(total=timeout, connect=min(timeout, TIMEOUT)),
            ) as answer:
                body = await read_body(answer)
        except TooLarge as error:
            raise TransmitterFailed(f"{what}: the answer is {error}", is_large=True) from None
        except TimeoutError:
            raise TransmitterFailed(f"{what}: no answer in {timeout:g} s", is_late=True) from None
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as error:
            # The last one is what a closed session raises.
            raise TransmitterFailed(f"{what}: {str(error) or type(error).__name__}") from None
        if 200 <= answer.status < 300:
            return body
        raise TransmitterFailed(
            f"{what} was answered {answer.status}{_detail(body)}",
            status=answer.status,
            retry_after=read_retry_after(answer.headers.get("Retry-After"), time.time()),
        )


def check_url(what: str, url: str) -> None:
    """Check that a transmitter may be called at a URL.

    Raises:
        TransmitterFailed: if it is neither https, nor http to a loopback address.
    """
    try:
        check_address(what, url)
    except ValueError:
        raise TransmitterFailed(
            f"{what} is {url[:MAX_DETAIL]!r}: neither https, nor http on loopback"
        ) from None


def read_json(body: bytes, kind: type[Kind], what: str) -> Kind:
    """Return the JSON of a transmitter's answer; members that ``kind`` has not are ignored.

    One that is null counts as absent: so some servers write an empty list or object.

    Raises:
        TransmitterFailed: if it is something else.
    """
    try:
        return msgspec.convert(_without_nulls(msgspec.json.decode(body)), type=kind)
    except (ValueError, RecursionError) as error:
        raise TransmitterFailed(f"the answer to {what} is not understood: {error}") from None


def _without_nulls(found: Any) -> Any:
    """Return an object, or each in a list, without the members that are null."""
    if isinstance(found, list):
        return [_without_nulls(one) for one in found]
    if isinstance(found, dict):
        return {name: value for name, value in found.items() if value is not None}
    return found


def read_retry_after(text: str | None, now: float) -> float | None:
    """Return after how many seconds to try again (RFC 9110 section 10.2.3), if that is said.

    ``now`` is in seconds since the epoch.
    """
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return float(text[:9])
    with contextlib.suppress(ValueError):
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    return None


def _detail(body: bytes) -> str:
    """Return what an error's JSON says, for a message; empty if it says nothing."""
    try:
        found = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return ""
    members = found if isinstance(found, dict) else {}
    for name in ("error_description", "description", "detail", "message", "err", "error"):
        text = members.get(name)
        if isinstance(text, str) and text.isprintable():
            return f": {text[:MAX_DETAIL]}"
    return ""
