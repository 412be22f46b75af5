"""``POST /introspect``: is a token alive, and whose is it (RFC 7662, signed: RFC 9701)?"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from hub.api.answers import Ok, Text
from hub.api.form import read_form
from hub.api.oauth import require_reader
from hub.api.services import SERVICES
from hub.core.model import SECOND, Identity
from hub.core.tokens import read_claims
from hub.errors import InvalidRequest, Unauthorized

SIGNED = "application/token-introspection+jwt"
WEIGHT = re.compile(r"[01](?:\.[0-9]{0,3})?")
CLIENT_CLAIMS = ("client_id", "azp", "cid")
NAME_CLAIMS = ("username", "preferred_username")


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
    """A living token, with its claims (RFC 7662 section 2.2, RFC 9470 section 6.2)."""

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
    """200 with the same answer as a signed JWT (RFC 9701 section 5)."""

    content_type = SIGNED


async def post_introspect(
    request: web.Request,
) -> Ok[ActiveView | InactiveView] | SignedIntrospection:
    """Say whether a token is alive. Like ``/verify``, it asks the store each time."""
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
    """Return whether the signed form is asked for by name, and JSON is not preferred to it.

    See RFC 9701 section 4, and RFC 9110 section 12.5.1.
    """
    accepted = ",".join(request.headers.getall("Accept", [])).lower()
    wanted = {"application/json": 0.0}
    for text in accepted.split(","):
        kind, *parameters = (part.strip() for part in text.split(";"))
        weights = [part.removeprefix("q=") for part in parameters if part.startswith("q=")]
        wanted[kind] = _read_weight(weights[0]) if weights else 1.0
    return wanted.get(SIGNED, 0.0) > 0 and wanted[SIGNED] >= wanted["application/json"]


def _read_weight(text: str) -> float:
    return float(text) if WEIGHT.fullmatch(text) else 1.0


async def _introspect(request: web.Request, token: str) -> ActiveView | InactiveView:
    try:
        caller = await request.app[SERVICES].authority.admit(token)
    except Unauthorized:
        return InactiveView()
    return view_active(caller.identity, read_claims(token))


def view_active(identity: Identity, claims: dict[str, Any]) -> ActiveView:
    """Return the answer for a living token, from its verified claims."""
    claims = json.loads(_readable(json.dumps(claims, ensure_ascii=False)))
    bound = claims["cnf"] if isinstance(claims.get("cnf"), dict) else {}
    return ActiveView(
        sub=_text(claims, "sub") or identity.sub,
        sid=identity.sid,
        exp=identity.exp // SECOND,
        iat=identity.iat // SECOND,
        token_type="DPoP" if "jkt" in bound else "Bearer",
        iss=identity.iss or UNSET,
        aud=_audience(claims.get("aud")),
        nbf=identity.nbf // SECOND or UNSET,
        scope=_readable(" ".join(identity.scopes)) or UNSET,
        client_id=_text(claims, *CLIENT_CLAIMS) or UNSET,
        username=_text(claims, *NAME_CLAIMS) or UNSET,
        jti=_text(claims, "jti") or UNSET,
        auth_time=UNSET if identity.login_at is None else identity.login_at // SECOND,
        acr=_text(claims, "acr") or UNSET,
        cnf=bound or UNSET,
    )


def _readable(text: str) -> str:
    """Return a text with U+FFFD in place of lone surrogates, which UTF-8 cannot encode."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _text(claims: dict[str, Any], *names: str) -> str | None:
    found = (claims.get(name) for name in names)
    return next((value for value in found if isinstance(value, str) and value), None)


def _audience(value: Any) -> str | list[str] | UnsetType:
    is_list = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return value if is_list or isinstance(value, str) else UNSET
