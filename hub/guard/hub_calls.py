"""A guard's calls to the hub: to verify a token, and to end a session."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from hub.core.feed import micros
from hub.core.model import Logout, Origin, Reason, Scope
from hub.errors import (
    HubError,
    LoginRequired,
    OriginNotAllowed,
    TokenMissing,
    Unauthorized,
    Unavailable,
    errors,
)
from hub.guard.http import FAILURES, Answer, call

ASK_TIMEOUT = 3.0
"""Seconds within which one of the hub's addresses must answer."""

CODES = {error.code: error for error in errors() if error is not OriginNotAllowed}
REASONS = frozenset(Reason)
PROBLEM = "application/problem+json"


class Problem(msgspec.Struct):
    """The members of problem details (RFC 9457) that a guard needs."""

    code: str
    detail: str = ""
    id: str = ""
    scope: Scope = Scope.ALL
    reason: str = Reason.POLICY
    message: str | None = None
    at: float | None = None
    by: str | None = None
    profile: str | None = None


class HubCalls:
    """Calls a hub at any of its addresses; ``tls`` says how to verify its certificate."""

    def __init__(self, urls: Sequence[str], tls: ssl.SSLContext | None = None) -> None:
        self._urls = tuple(urls)
        self._tls = tls

    def verify(self, token: str) -> Unauthorized | None:
        """Return why the hub refuses a token, or None if it accepts it.

        Raises:
            Unavailable: when it does not say.
        """
        if not token.isprintable():  # base64 decoders are lenient, headers are not
            raise Unavailable("the token cannot be sent in a header")
        answer = self._call("GET", "/verify", token, 204)
        if answer.status == 204:
            return None
        error = read_error(answer)
        if isinstance(error, Unauthorized) and not isinstance(error, TokenMissing):
            return error
        raise Unavailable(f"the hub answered {answer.status} to /verify")

    def end_sessions(self, credential: str, command: dict[str, Any]) -> None:
        """Carry out an administrator's logout.

        Raises:
            HubError: the hub's error, if it refuses.
            Unavailable: when it does not answer.
        """
        answer = self._call("POST", "/admin/logout", credential, 200, msgspec.json.encode(command))
        if answer.status != 200:
            raise read_error(answer) or Unavailable(f"the hub answered {answer.status}")

    def _call(
        self, method: str, path: str, credential: str, status: int, body: bytes | None = None
    ) -> Answer:
        """Return the first answer with this status, or in which a hub says why it has another."""
        headers = {"Authorization": f"Bearer {credential}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        deadline, failures = time.monotonic() + ASK_TIMEOUT, []
        for index, url in enumerate(self._urls):
            remaining = deadline - time.monotonic()
            share = remaining / (len(self._urls) - index)
            if share <= 0:
                break
            try:
                answer = call(
                    method, url + path, headers=headers, body=body, tls=self._tls, timeout=share
                )
            except FAILURES as error:
                failures.append(f"{url}: {str(error) or type(error).__name__}")
                continue
            is_refusal = answer.status < 500 and read_error(answer) is not None
            if answer.status == status or is_refusal:
                return answer
            failures.append(f"{url}: answered {answer.status}")
        raise Unavailable("the hub cannot be asked: " + "; ".join(failures))


def read_error(answer: Answer) -> HubError | None:
    """Return the hub's error in an answer, or None if there is none."""
    if answer.headers.get("content-type", "").partition(";")[0].strip() != PROBLEM:
        return None
    try:
        problem = msgspec.json.decode(answer.body, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    kind = CODES.get(problem.code)
    if kind is None or kind.status != answer.status:
        return None
    if kind is LoginRequired:
        found = re.search(r'max_age="(\d{1,9})"', answer.headers.get("www-authenticate", ""))
        max_age = int(found[1]) if found else 0
        return LoginRequired(problem.detail, logout=_logout(problem), max_age=max_age)
    return kind(problem.detail, logout=_logout(problem), retry_after=_retry_after(answer))


def _retry_after(answer: Answer) -> float | None:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdigit() and len(text) < 9 else None


def _logout(problem: Problem) -> Logout | None:
    if problem.at is None:
        return None
    return Logout(
        id=problem.id,
        user=None,
        scope=problem.scope,
        reason=Reason(problem.reason) if problem.reason in REASONS else Reason.POLICY,
        message=problem.message,
        at=micros(problem.at),
        profile=problem.profile,
        origin=None if problem.by is None else Origin(problem.by, ""),
    )
