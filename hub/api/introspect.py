"""``POST /introspect``: whether a token is alive, and whose it is (RFC 7662, signed: RFC 9701)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from hub.access.keys import KeyUncertain, sparing_new_keys
from hub.api.answers import Ok, Text
from hub.api.form import read_form
from hub.api.oauth import require_reader
from hub.api.services import SERVICES
from hub.core.model import SECOND, Identity
from hub.core.tokens import read_claims
from hub.core.weights import read_weights
from hub.errors import InvalidRequest, TokenInvalid, Unauthorized

SIGNED = "application/token-introspection+jwt"
CLIENT_CLAIMS = ("client_id", "azp", "cid")
NAME_CLAIMS = ("username", "preferred_username")

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""JSON can escape these, but UTF-8 cannot encode them (RFC 8259 section 8.2)."""

MAX_LEVELS = 100
"""How deeply ``cnf`` may be nested: encoders, and our own recursion, give up at about 1000."""


class IntrospectionForm(msgspec.Struct, frozen=True):
    """The form of an introspection. Other parameters are ignored."""

    token: Annotated[str, msgspec.Meta(min_length=1)]
    token_type_hint: str | UnsetType = UNSET
    client_id: str | UnsetType = UNSET
    client_secret: str | UnsetType = UNSET


class InactiveView(msgspec.Struct, frozen=True):
    """The answer for a token that is not alive; it does not say why, or whether it ever was."""

    active: Literal[False] = False


class ActiveView(msgspec.Struct, frozen=True, kw_only=True):
    """A token that is alive, with its claims (RFC 7662 section 2.2, RFC 9470 section 6.2)."""

    active: Literal[True] = True
    sub: str
    sid: str
    exp: int
    iat: int
    token_type: Literal["Bearer", "DPoP"]
    iss: str | UnsetType = UNSET
    aud: str | list[str] | UnsetType = UNSET
    nbf: int | UnsetType = UNSET
    scope: str | UnsetType = UNSET
    client_id: str | UnsetType = UNSET
    username: str | UnsetType = UNSET
    jti: str | UnsetType = UNSET
    auth_time: int | UnsetType = UNSET
    acr: str | UnsetType = UNSET
    cnf: dict[str, Any] | UnsetType = UNSET


class SignedIntrospection(Text, frozen=True):
    """200 with the same response as a signed JWT (RFC 9701 section 5)."""

    content_type = SIGNED


async def post_introspect(
    request: web.Request,
) -> Ok[ActiveView | InactiveView] | SignedIntrospection:
    """Return whether a token is alive; like ``/verify``, this asks the store each time."""
    form = await read_form(request, IntrospectionForm)
    reader = await require_reader(request, form)
    if (token := form.get("token")) is None:
        raise InvalidRequest("token is missing")
    view = await _introspect(request, token)
    signer = request.app[SERVICES].signer
    headers = {"Vary": "Accept"}
    if signer is None or not _asks_for_signed(request):
        return Ok(view, headers=headers)
    claims = {"aud": reader, "token_introspection": msgspec.to_builtins(view)}
    return SignedIntrospection(signer.sign("token-introspection+jwt", claims), headers=headers)


def _asks_for_signed(request: web.Request) -> bool:
    """Return whether ``Accept`` names the signed form, and does not prefer JSON.

    See RFC 9701 section 4, and RFC 9110 section 12.5.1.
    """
    weights = read_weights(request.headers.getall("Accept", []))
    signed, plain = weights.get(SIGNED, 0.0), weights.get("application/json", 0.0)
    return signed > 0 and signed >= plain


async def _introspect(request: web.Request, token: str) -> ActiveView | InactiveView:
    try:
        with sparing_new_keys():
            caller = await request.app[SERVICES].authority.admit(token)
        return view_active(caller.identity, read_claims(token))
    except KeyUncertain as error:
        raise error.of_somebody_else() from None
    except Unauthorized:
        return InactiveView()


def view_active(identity: Identity, claims: dict[str, Any]) -> ActiveView:
    """Return the response for a token that is alive, from its verified claims.

    Raises:
        TokenInvalid: if the key that it is bound to is nested too deeply to be sent: without that,
            the token would pass as a bearer token.
    """
    bound = _encodable(claims["cnf"]) if isinstance(claims.get("cnf"), dict) else {}
    return ActiveView(
        sub=_text(claims, "sub") or identity.sub,
        sid=identity.sid,
        exp=identity.exp // SECOND,
        iat=identity.iat // SECOND,
        token_type="DPoP" if "jkt" in bound else "Bearer",
        iss=identity.iss or UNSET,
        aud=_audience(claims.get("aud")),
        nbf=identity.nbf // SECOND or UNSET,
        scope=_encodable(" ".join(identity.scopes)) or UNSET,
        client_id=_text(claims, *CLIENT_CLAIMS) or UNSET,
        username=_text(claims, *NAME_CLAIMS) or UNSET,
        jti=_text(claims, "jti") or UNSET,
        auth_time=UNSET if identity.login_at is None else identity.login_at // SECOND,
        acr=_text(claims, "acr") or UNSET,
        cnf=bound or UNSET,
    )


def _encodable(value: Any, levels: int = MAX_LEVELS) -> Any:
    """Return a value of JSON in which every lone surrogate is U+FFFD.

    Raises:
        TokenInvalid: if it is nested too deeply to be encoded.
    """
    if isinstance(value, str):
        return LONE_SURROGATE.sub("\ufffd", value)
    if not isinstance(value, list | dict):
        return value
    if not levels:
        raise TokenInvalid("nested too deeply")
    if isinstance(value, list):
        return [_encodable(one, levels - 1) for one in value]
    return {_encodable(name): _encodable(one, levels - 1) for name, one in value.items()}


def _text(claims: dict[str, Any], *names: str) -> str | None:
    found = (claims.get(name) for name in names)
    text = next((value for value in found if isinstance(value, str) and value), None)
    return None if text is None else LONE_SURROGATE.sub("\ufffd", text)


def _audience(value: Any) -> str | list[str] | UnsetType:
    is_list = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return _encodable(value) if is_list or isinstance(value, str) else UNSET
