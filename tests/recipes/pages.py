"""Takes the code out of a page of the documentation, to run it as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of a page in one language."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def run_python(page: str, about: str = "", **changes: Any) -> dict[str, Any]:
    """Run the Python of a page as one module, then set names, and return what it has.

    With ``about``, only the blocks that hold this text.
    """
    code = "\n\n".join(block for block in blocks(page, "python") if about in block)
    assert code
    names: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(code, page, "exec", dont_inherit=True), names)  # noqa: S102
    names.update(changes)
    return names
