"""Why a signal is refused: a closed set of reasons, and their names in each protocol.

A refused signal is answered with 400: a logout token with OAuth's error ``invalid_request`` (OpenID
Connect Back-Channel Logout 1.0 section 2.8), a security event with an ``err`` of RFC 8935.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator

from hub.errors import InvalidRequest, TokenInvalid, Unavailable


class Refusal(enum.StrEnum):
    """Why a signal is refused, for metrics and logs."""

    MALFORMED = "malformed"
    TYPE = "type"
    SIGNATURE = "signature"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    EVENT = "event"
    SUBJECT = "subject"
    EXPIRED = "expired"
    FUTURE = "future"
    NONCE = "nonce"
    REUSED = "reused"
    OFF = "off"
    """The settings do not ask for signals of this sender."""
    AUTHORIZATION = "authorization"
    """The ``Authorization`` header of a push is not the transmitter's."""
    STATE = "state"
    """A verification event has a state that nobody asked for."""


SET_ERRORS = {
    Refusal.SIGNATURE: "invalid_key",
    Refusal.ISSUER: "invalid_issuer",
    Refusal.AUDIENCE: "invalid_audience",
    Refusal.AUTHORIZATION: "authentication_failed",
    Refusal.OFF: "access_denied",
    Refusal.STATE: "invalid_state",
}
"""Values of ``err`` (RFC 8935 section 2.4; the last one of SSF 1.0 section 8.1.4.1)."""


class SignalRefused(InvalidRequest):
    """A logout token or a security event is refused; ``reason`` says why, for programs."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason

    @property
    def err(self) -> str:
        """The ``err`` of an answer to a push or of a poll (RFC 8935 section 2.3)."""
        return SET_ERRORS.get(self.reason, "invalid_request")


class SignalEarly(Unavailable, SignalRefused):
    """A signal is from slightly in the future by the store's clock: it is accepted a little later.

    It is counted and noted as refused, but the sender is to send it again.
    """

    def __init__(self, detail: str, retry_after: float) -> None:
        super().__init__(Refusal.FUTURE, detail)
        self.retry_after = retry_after


@contextlib.contextmanager
def refusing(reason: Refusal) -> Iterator[None]:
    """Convert `TokenInvalid` raised in the context to `SignalRefused`.

    Raises:
        SignalRefused: with this reason, if `TokenInvalid` is raised inside.
    """
    try:
        yield
    except TokenInvalid as error:
        raise SignalRefused(reason, error.detail) from None
