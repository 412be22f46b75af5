"""The vectors of the forms that a token may have, of its header, and of raw values in JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.vectors.keys import encode
from tests.vectors.signed import CLAIMS, IAT, OWN, raw, token, vector


def vectors() -> Iterator[dict[str, Any]]:
    """Yield every vector, always the same."""
    yield vector("raw values", [OWN], _with_raw_values())
    yield vector("headers", [OWN], _with_headers())
    yield vector("forms", [OWN], _forms())


def _with_raw_values() -> Iterator[str]:
    dates = (
        "true", "false", '"1700000000"', '""', "[]", "{}", "[1700000000]", "1700000000.0", "17e8",
        "1700000000.000001", "1700000000.123456", "1700000000.9999996", "1700000000.0000005",
        "1700000000.0000015", "1.700000000123456e9", "NaN", "Infinity", "-Infinity",
        "1e999", "-1e999", "-1", "-0.000001", "-0", "-0.0", "0", "1e300",
        "253402300799", "253402300800", "1" + "0" * 400,
    )  # fmt: skip
    for claim in ("exp", "iat", "nbf", "auth_time"):
        for value in dates:
            yield _with_raw(claim, value)
    for end in ("0001", "3600", "3600.000001", "3600.0000001", "3601", "0000", "0000.000001"):
        yield _with_raw("exp", f"170000{end}")
    for value in ("1.0", "1e3", "-0", "00", "0x1", "+1", ".5", "1.", '"\\u0061"', "'a'", '"\t"'):
        yield _with_raw("sub", value)
    yield _with_raw("unused", "NaN")
    yield _with_raw("unused", "1e999")
    yield _with_raw("unused", "12345678901234567890123456789012345678901234567890")


def _with_raw(claim: str, value: str) -> str:
    """Return a good token with one claim in the JSON text ``value``."""
    others = {name: other for name, other in CLAIMS.items() if name != claim}
    return raw(json.dumps(others)[:-1] + f', "{claim}": {value}}}')


def _with_headers() -> Iterator[str]:
    kinds: tuple[Any, ...] = (
        "JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/JWT", "logout+jwt",
        "application/logout+jwt", "secevent+jwt", "dpop+jwt", "token-introspection+jwt", "JOSE", "",
        " JWT", "application/", "jwt;x=y", "application/application/jwt", None, 5, True, ["JWT"],
        {"JWT": 1},
    )  # fmt: skip
    for kind in kinds:
        yield token({"typ": kind})
    algorithms = ("none", "None", "NONE", "", "hs256", "HS512", "RS256", None, 5, ["HS256"])
    yield from (token({"alg": name}) for name in algorithms)
    kids: tuple[Any, ...] = (5, True, [], {}, None, "", "k", "k" * 256, "k" * 257, "😀" * 256)
    yield from (token({"kid": kid}) for kid in kids)
    for extension in ("crit", "b64"):
        for value in (["exp"], ["b64"], [], None, True, False, "b64"):
            yield token({extension: value})
    for header in (
        '{"alg":"HS256"}', ' {"alg" : "HS256"} ', '{"typ":"JWT"}', "{}",
        '{"alg":"none","alg":"HS256"}',
        '{"alg":"HS256","kid":"a","kid":"b"}', '{"alg":"HS256","\\u0061lg":"HS256"}',
        '{"alg":"HS256","x":{"y":1,"y":2}}', '{"alg":"HS256","jwk":{"kty":"oct","k":"YQ"}}',
        '{"alg":"HS256","jku":"https://evil.example/keys"}', '{"alg":"HS256","x":"\\ud800"}',
    ):  # fmt: skip
        yield raw(json.dumps(CLAIMS), header)


def _forms() -> Iterator[str]:
    good = token()
    head, payload, signature = good.split(".")
    yield from ("", ".", "..", "...", "a.b.c", "e30.e30.", "e30.e30.e30", "!!!!.????.####", " . . ")
    yield from (f"{head}.{payload}", f"{good}.", f"{good}.x", f"{good}.x.y", f"Bearer {good}")
    yield from (f"{head}.{payload}.", f"{head}.{payload}.{signature[:-4]}", f"{head}..{signature}")
    unsigned = encode('{"alg":"none"}')
    yield f"{unsigned}.{payload}."
    yield f"{head}.{token(sub='grace').split('.')[1]}.{signature}"
    yield from (good + odd for odd in ("é", "\u2024", "\uff0e", "\U0001d400"))
    for part in (0, 1):
        for odd in ("!", "\n", " "):
            parts = good.split(".")
            parts[part] += odd
            yield ".".join(parts)
    for text in (
        "null", "[]", '"text"', "5", "true", "{", "", "{}", "{}{}", '{"alg":"HS256"',
        "{'alg':'HS256'}",
        '{"alg":"HS256","x":NaN}', '{"alg":"HS256","x":-Infinity}', '{"alg":"HS256",}',
        '{"alg":"HS256"}//', "\ufeff" + '{"alg":"HS256"}', b"\xff\xfe\x00", b'{"alg":"HS256\xff"}',
        b"\x00", bytes(range(256)),
    ):  # fmt: skip
        yield raw(json.dumps(CLAIMS), text)
        yield raw(text)
    yield raw("\ufeff" + json.dumps(CLAIMS))
    yield raw(b'{"sub":"\xc3\x28","iat":%d,"exp":%d}' % (IAT, IAT + 600))
    yield raw(json.dumps({**CLAIMS, "sub": "zoë"}, ensure_ascii=False))
    yield raw("\r\n" + json.dumps(CLAIMS, indent=1) + "\t")
    for text in (
        '{"sub":"grace","sub":"ada","iat":%d,"exp":%d}',
        '{"sub":"ada","\\u0073ub":"grace","iat":%d,"exp":%d}',
        '{"sub":"ada","iat":%d,"exp":%d,"exp":99999999999}',
        '{"sub":"ada","iat":%d,"exp":%d,"x":[{"y":1,"y":2}]}',
        '{"sub":"ada","sid":"a","iat":%d,"exp":%d,"sid":"b"}',
        '{"sub":"ada","iat":%d,"exp":%d,"__proto__":{"sid":"b"}}',
        '{"sub":"ada","iat":%d,"exp":%d,"__proto__":1,"__proto__":2}',
        '{"sub":"ada","iat":%d,"exp":%d,"constructor":null,"toString":5}',
    ):
        yield raw(text % (IAT, IAT + 600))
    yield from (_padded(8192), _padded(8193), _padded(8300))


def _padded(least: int) -> str:
    """Return a good token of at least this many bytes, and hardly more."""
    size = 0
    while len(padded := token(pad="p" * size)) < least:
        size += max(1, (least - len(padded)) * 3 // 4)
    return padded
