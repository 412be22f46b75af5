"""The types that handlers return, and the one place where they become responses.

A handler's annotation lists all its responses, such as ``Ok[SessionView] | NotModified``. The
OpenAPI document is generated from these annotations, and nothing else is ever sent.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

import msgspec
from aiohttp import web

Body = TypeVar("Body", bound=msgspec.Struct, covariant=True)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all answers; those without a ``content_type`` have no body.

    ``schema`` is the JSON Schema of a body that is not a struct.
    """

    status: ClassVar[int] = 200
    content_type: ClassVar[str] = ""
    schema: ClassVar[dict[str, Any] | None] = None

    headers: dict[str, str] = {}

    def encode(self) -> bytes:
        """Return the encoded body."""
        return b""


class Ok(Answer, Generic[Body], frozen=True):
    """200 with a JSON body, of one of the types in brackets."""

    content_type = "application/json"

    body: Body

    def encode(self) -> bytes:
        """Return the encoded body."""
        return msgspec.json.encode(self.body)


class Text(Answer, frozen=True):
    """200 with a text."""

    content_type = "text/plain; charset=utf-8"
    schema = {"type": "string"}

    text: str

    def encode(self) -> bytes:
        """Return the encoded body."""
        return self.text.encode()


class Script(Text, frozen=True):
    """200 with a JavaScript module."""

    content_type = "text/javascript; charset=utf-8"


class NoContent(Answer, frozen=True):
    """204: there is no body."""

    status = 204


class NotModified(Answer, frozen=True):
    """304: nothing has changed since the response with this ``ETag``."""

    status = 304


class Events(Answer, frozen=True):
    """200 with server-sent events: ``response`` sends them once the handler has returned."""

    content_type = "text/event-stream"
    schema = {"type": "string"}

    response: web.StreamResponse


Declared: TypeAlias = Mapping[type[Answer], tuple[type[msgspec.Struct], ...]]
"""The answers that a handler may return, each with the types of its body."""

Handler: TypeAlias = Callable[[web.Request], Awaitable[Answer]]


@functools.cache
def declared(handler: Handler) -> Declared:
    """Return the answers in a handler's return annotation.

    Raises:
        TypeError: when it has anything but answers whose bodies are structs.
    """
    found: dict[type[Answer], tuple[type[msgspec.Struct], ...]] = {}
    for annotation in _members(typing.get_type_hints(handler)["return"]):
        kind = typing.get_origin(annotation) or annotation
        bodies = tuple(body for one in typing.get_args(annotation) for body in _members(one))
        is_answer = isinstance(kind, type) and issubclass(kind, Answer) and kind is not Answer
        if not is_answer or (kind is Ok) != bool(bodies) or not all(map(_is_struct, bodies)):
            raise TypeError(f"{handler.__qualname__} returns {annotation}, which is not an Answer")
        found[kind] = bodies
    return found


def _members(annotation: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if is_union else (annotation,)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def answering(handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the aiohttp handler that sends what ``handler`` returns.

    It raises `TypeError`, and sends nothing, when the annotation does not allow that.
    """
    allowed = declared(handler)

    async def answer(request: web.Request) -> web.StreamResponse:
        given = await handler(request)
        bodies = allowed.get(type(given))
        if bodies is None or (isinstance(given, Ok) and type(given.body) not in bodies):
            raise TypeError(f"{handler.__qualname__} returned {type(given).__name__}, undeclared")
        if isinstance(given, Events):
            return given.response
        return render(given.status, given.encode(), given.content_type, given.headers)

    return answer


def render(status: int, body: bytes, content_type: str, headers: Mapping[str, str]) -> web.Response:
    """Return a response of aiohttp."""
    typed = {"Content-Type": content_type} if content_type else {}
    return web.Response(status=status, body=body or None, headers={**headers, **typed})
