"""The vectors of what depends on an issuer's entry, and of tokens of real issuers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tests.shapes import PLACEHOLDERS, SHAPES, claims_at
from tests.vectors.keys import OTHER_SECRET, SECRET, public_key, sign
from tests.vectors.signed import CLAIMS, HEADER, IAT, LIMITS, OWN, token, vector

ASYMMETRIC = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip


def vectors() -> Iterator[dict[str, Any]]:
    """Yield every vector, always the same."""
    yield from _vectors_of_audiences()
    yield from _vectors_of_issuers()
    yield from _vectors_of_names()
    yield from _vectors_of_algorithms()
    for shape in SHAPES:
        yield _vector_of_shape(shape)


def _vectors_of_audiences() -> Iterator[dict[str, Any]]:
    audiences: tuple[Any, ...] = (
        "hub", "api", ["other", "hub"], "Hub", "hub ", "hubs", "", [], ["other"], [["hub"]],
        {"hub": 1}, 5, [5, "hub"], None, ["hub", None],
    )  # fmt: skip
    for table in (
        {**OWN, "audience": "hub"},
        {**OWN, "audience": ["hub", "api"], "audience_claims": ["aud", "client_id"]},
        {**OWN, "audience": "*"},
        {**OWN, "audience": "hub", "audience_claims": ["ext.aud"]},
    ):
        tokens = [token(), token(client_id="hub"), token(client_id="hub", aud=["other"])]
        tokens += [token(client_id="other", aud="hub"), token(ext={"aud": "hub"})]
        tokens += [token(aud=audience) for audience in audiences]
        tokens += [token(aud="hub", token_use="id"), token(aud="hub", nonce="n")]
        tokens += [token(aud="hub", token_type="refresh"), token(aud="hub", events={})]
        yield vector("audiences", [table], iter(tokens))


def _vectors_of_issuers() -> Iterator[dict[str, Any]]:
    iss, alias, other = "https://id.example", "https://login.example", "https://other.example"
    named = {**OWN, "iss": iss}
    isses = (
        iss, alias, other, f"{iss}/", "https://ID.example", "https://id", "", [iss], {iss: 1}, 5,
        ..., None, "x" * 257,
    )  # fmt: skip
    elsewhere = {"iss": other, "secret": OTHER_SECRET, **LIMITS, "leeway": 30}
    anybody = {**OWN, "algorithms": ["HS384"]}
    by_key = {"iss": iss, "public_key": public_key("ES256"), **LIMITS}
    for tables in (
        [named],
        [{**named, "aliases": [alias]}],
        [named, elsewhere],
        [anybody, {**named, "aliases": [alias]}, elsewhere],
        [named, by_key],
        [{**named, "iss": "zoë|50%"}],
    ):
        yield vector("issuers", tables, _of_issuers((*isses, "zoë|50%")))
    two = {**OWN, "secret": [SECRET, OTHER_SECRET]}
    for tables in ([two], [{**two, "algorithms": ["HS256", "HS512"]}]):
        yield vector("two secrets", tables, _of_issuers((..., iss)))
    long = {"secret": SECRET, "max_lifetime": 86400, "leeway": 2.5}
    lives = (1, 600, 86400, 86401, 86400.000001)
    yield vector("limits", [long], (token(exp=IAT + life) for life in lives))


def _of_issuers(isses: Sequence[Any]) -> Iterator[str]:
    for iss in isses:
        claims = json.dumps({**CLAIMS, **({} if iss is ... else {"iss": iss})})
        for algorithm in ("HS256", "HS384", "HS512", "ES256") if iss in isses[:3] else ("HS256",):
            yield sign(json.dumps({"alg": algorithm}), claims, algorithm)
        yield sign(json.dumps(HEADER), claims, "HS256", secret=OTHER_SECRET)
    yield sign(json.dumps(HEADER), json.dumps(CLAIMS), "HS256", secret=SECRET + "x")


def _vectors_of_names() -> Iterator[dict[str, Any]]:
    table = {
        **OWN,
        "user": ["user.id", "sub"],
        "session": ["https://app.example/session.id", "ext.sid", "ext.auth_time"],
        "login_time": ["amr.0.timestamp", "ext.auth_time"],
    }
    changes: list[dict[str, Any]] = [
        {},
        {"user": {"id": 7}, "ext": {"sid": "inner"}, "amr": [{"timestamp": IAT - 3}]},
        {"user.id": "literal", "user": {"id": "inner"}},
        {"user": {"id": None}},
        {"user": {"id": [1]}},
        {"user": "x", "sub": ...},
        {"https://app.example/session": {"id": "inner"}},
        {"https://app.example/session.id": "named", "ext": {"sid": "inner"}},
        {"ext": {"auth_time": IAT - 4}},
        {"ext": {"auth_time": 0}, "jti": "j"},
        {"ext": {"auth_time": "2023-11-14T22:12:20.25Z"}},
        {"ext": [{"sid": "x"}]},
        {"ext.sid": "literal"},
        {"ext": {"sid": True}},
        {"ext": {"sid": ""}},
    ]
    amrs: tuple[Any, ...] = (
        [],
        ["pwd"],
        "pwd",
        {"0": {"timestamp": IAT}},
        {"1": {"timestamp": 5}},
        None,
        [{}],
        5,
    )
    changes += [{"amr": amr} for amr in amrs]
    changes += [{"amr": {"0.timestamp": IAT - 6}}, {"amr.0": {"timestamp": IAT - 7}}]
    yield vector("names of claims", [table], (token(**change) for change in changes))


def _vectors_of_algorithms() -> Iterator[dict[str, Any]]:
    every = ("HS256", "HS384", "HS512", *ASYMMETRIC)
    for pinned in ("HS256", "HS384", "HS512"):
        table = {**OWN, "algorithms": [pinned]}
        yield vector("algorithms", [table], (_signed_by(one) for one in every[:5]))
    for pinned in ASYMMETRIC:
        table = {"public_key": public_key(pinned), "algorithms": [pinned], **LIMITS}
        kin = [one for one in every if one[:2] == pinned[:2]]
        tokens = [_signed_by(one) for one in dict.fromkeys((*kin, "HS256", "EdDSA"))]
        if pinned[:2] in ("ES", "Ed"):
            tokens.append(_signed_by(pinned, seed=1))
        tokens += [_forged(pinned), tokens[kin.index(pinned)][:-8] + "AAAAAAAA"]
        yield vector("algorithms", [table], iter(tokens))


def _signed_by(algorithm: str, seed: int = 0) -> str:
    return sign(json.dumps({"alg": algorithm}), json.dumps(CLAIMS), algorithm, seed=seed)


def _forged(pinned: str) -> str:
    """Return a token that is signed by HMAC with a public key as its secret (RFC 8725, 2.1)."""
    return sign('{"alg":"HS256"}', json.dumps(CLAIMS), "HS256", secret=public_key(pinned))


def _vector_of_shape(shape: dict[str, Any]) -> dict[str, Any]:
    """Return the tokens of a real issuer, as tests/vectors/issuers.json has them."""
    table = {name: value for name, value in shape["settings"].items() if name not in PLACEHOLDERS}
    for name in ("preset", "iss", "audience"):
        if shape[name] is not None:
            table.setdefault(name, shape[name])
    algorithm = shape["algorithm"]
    is_secret = algorithm.startswith("HS")
    table |= {"secret": SECRET} if is_secret else {"public_key": public_key(algorithm)}
    table = {"max_lifetime": 86400, "leeway": 0, **table, "algorithms": [algorithm]}
    header = json.dumps({"alg": algorithm} | ({"typ": shape["typ"]} if shape["typ"] else {}))
    tokens = [
        sign(header, json.dumps(claims_at(shape[which], IAT)), algorithm)
        for which in ("login", "refreshed")
    ]
    return vector(shape["name"], [table], iter(tokens))
