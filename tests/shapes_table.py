"""The table of token shapes in the documentation, made by ``python -m tests.shapes_table``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hub.core.claims import first_claim
from hub.core.issuers_document import read_entries
from tests.shapes import SHAPES, claims_at, issuers_file

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "token-shapes.md"

HEAD = """# Tokens of real issuers

How the hub treats the tokens that identity providers issue, according to their documentation. `tests/test_shapes.py` tests each row against a running hub: the token is accepted with the preset (or the named settings), and the effect of `all`, `session` and `others` is checked at `/verify`, over HTTP and over a socket, also for the token from the next refresh. The shapes are in `tests/vectors/issuers.json`. This page is generated from them: `python -m tests.shapes_table`.

- **Session**: the claim that identifies the login; `per token` if there is none: see [when tokens name no login](tokens.md#when-tokens-name-no-login).
- **Login time**: the claim that says when the login began.
- **After `all`, a refresh**: what happens to the next token of a login that was ended.
- **`session`**, **`others`**: whether they end, or keep, the device's login or only one token.

| issuer and token | preset, settings | session | login time | after `all`, a refresh | `session` ends | `others` keeps |
| --- | --- | --- | --- | --- | --- | --- |
"""


def render() -> str:
    """Return the page."""
    return HEAD + "".join(_row(shape) for shape in SHAPES)


def _row(shape: dict[str, Any]) -> str:
    (entry,) = read_entries(issuers_file(shape), max_lifetime=86400, leeway=0)
    claims = claims_at(shape["login"], 0)
    session, _ = first_claim(claims, entry.rules.session)
    login_time, _ = first_claim(claims, entry.rules.login_time)
    stable = shape["stable"]
    settings = ", ".join(f"`{name}`" for name in shape["settings"])
    how = ", ".join(
        part for part in (f"`{shape['preset']}`" if shape["preset"] else "", settings) if part
    )
    if shape["login_time"]:
        refresh = "refused: `login_required`"
    else:
        refresh = "refused: `token_revoked`" if stable else "**lives**"
    kept = "the login" if stable else ("this token only" if shape["login_time"] else "the device")
    cells = (
        shape["name"],
        how or "none",
        f"`{session}`" if stable else "per token",
        f"`{login_time}`" if shape["login_time"] else "-",
        refresh,
        "the login" if stable else "one token",
        kept,
    )
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
