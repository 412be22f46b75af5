"""The table of token shapes in the documentation, made by ``python -m tests.shapes_table``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hub.core.claims import first_claim
from hub.core.issuers import read_entries
from tests.shapes import SHAPES, claims_at, issuers_file

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "token-shapes.md"

HEAD = """# Tokens of real issuers

What the hub makes of the tokens that identity providers write, as their documentation has them. Each row is tried by `tests/test_shapes.py` at a running hub: accepted with the preset (or the settings named), and `all`, `session` and `others` asked for at `/verify`, over HTTP and over a socket, also for the token that the next refresh brings. The shapes are in `tests/vectors/issuers.json`. This page is made from them: `python -m tests.shapes_table`.

- **Session**: the claim that names the login. `per token` where nothing does: see [when tokens name no login](tokens.md#when-tokens-name-no-login).
- **Login time**: the claim by which a token is as old as its login.
- **After `all`, a refresh**: what becomes of the next token of a login that was ended.
- **`session`**, **`others`**: whether they end, or keep, the device's login or one token only.

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
