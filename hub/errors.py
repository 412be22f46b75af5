"""The hierarchy of errors that the hub responds with.

Each error has a ``code`` (stable, for programs), a ``title`` (for people), an HTTP ``status``, and
says whether retrying may help (``retryable``). HTTP renders it as problem details (RFC 9457),
Socket.IO as ``CONNECT_ERROR`` or as the ``error`` of an acknowledgement.
"""

from __future__ import annotations

from typing import ClassVar

from hub.core.model import Logout


class HubError(Exception):
    """The base of all errors; ``detail`` says what was wrong with this request.

    ``retry_after`` is the number of seconds after which retrying may help, if known.
    """

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "The hub failed"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(
        self, detail: str = "", *, logout: Logout | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.logout = logout
        self.retry_after = retry_after


class InvalidRequest(HubError):
    """The request does not have the documented form."""

    code, title, status = "invalid_request", "The request is not valid", 400


class PayloadTooLarge(InvalidRequest):
    """The body is too large."""

    code, title, status = "payload_too_large", "The body is too large", 413


class SubjectUnresolved(InvalidRequest):
    """A subject is well-formed, but does not name a user of this hub."""

    code, title, status = "subject_unresolved", "The subject names nobody here", 422


class Unauthorized(HubError):
    """The base of all errors about credentials, with status 401."""

    status = 401


class TokenMissing(Unauthorized):
    """No credentials were sent."""

    code, title = "token_missing", "No token was sent"


class TokenInvalid(Unauthorized):
    """The token is malformed, forged, or not for this hub."""

    code, title = "token_invalid", "The token is not valid"


class TokenExpired(Unauthorized):
    """The token's ``exp`` has passed."""

    code, title = "token_expired", "The token has expired"


class TokenRevoked(Unauthorized):
    """A logout ended the token's session; ``logout`` says which."""

    code, title = "token_revoked", "The session was logged out"


class TokenTooOld(Unauthorized):
    """The token was issued in the same second as a logout, so it may be older.

    It stays refused. ``retry_after`` says when a new token will certainly be newer.
    """

    code, title = "token_too_old", "The token was issued in the same second as a logout"


class TokenNotYetValid(Unauthorized):
    """The token's ``iat`` or ``nbf`` is slightly in the future, by the store's clock."""

    code, title, retryable = "token_not_yet_valid", "The token is not valid yet", True


class InvalidClient(Unauthorized):
    """A client of the OAuth endpoints is unknown, or its secret is wrong (RFC 6749 section 5.2)."""

    code, title = "invalid_client", "The client is not authenticated"


class LoginRequired(TokenRevoked):
    """A logout ended the login behind the token, which a refresh cannot change: log in anew.

    The error of RFC 9470; ``logout`` says which it was, ``max_age`` how many seconds ago.
    """

    code, title = "login_required", "The login was ended: log in again"

    def __init__(self, detail: str = "", *, logout: Logout | None = None, max_age: int = 0) -> None:
        super().__init__(detail, logout=logout)
        self.max_age = max_age


class Forbidden(HubError):
    """The credentials are valid, but do not allow this."""

    code, title, status = "forbidden", "Not allowed", 403


class OriginNotAllowed(Forbidden):
    """A cookie came with an ``Origin`` that is not on the list, or with none."""

    code, title = "origin_not_allowed", "The origin is not allowed"

    def __init__(self, origin: str | None) -> None:
        named = "no Origin was sent" if origin is None else f"{origin[:256]!r} is not on the list"
        super().__init__(f"{named}: a cookie is accepted from HUB_ALLOWED_ORIGINS only")


class NotFound(HubError):
    """It does not exist, or the caller may not see it."""

    code, title, status = "not_found", "Not found", 404


class RateLimited(HubError):
    """A limit was reached."""

    code, title, status, retryable = "rate_limited", "Too many requests", 429, True


class Unavailable(HubError):
    """The hub cannot decide at the moment, so nothing is allowed."""

    code, title, status, retryable = "unavailable", "The hub cannot answer now", 503, True


def errors() -> tuple[type[HubError], ...]:
    """Return every error that has a code of its own, in the order of the codes."""

    def walk(kind: type[HubError]) -> set[type[HubError]]:
        return {kind}.union(*(walk(child) for child in kind.__subclasses__()))

    coded = {kind for kind in walk(HubError) if kind is not HubError and "code" in vars(kind)}
    return tuple(sorted(coded, key=lambda kind: kind.code))
