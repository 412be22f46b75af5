"""The browser client as one file: its modules joined as they import each other, with no build."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

ENTRY = "client.js"
CHECKOUT = Path(__file__).parents[2] / "client_js"

_IMPORT = re.compile(r'^import \{\s*\w+(?:,\s*\w+)*,?\s*\} from "\./(\w+\.js)";\n', re.MULTILINE)
_TYPES = re.compile(r"^/\*\* @import .*\*/\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async function|function|const) \w)", re.MULTILINE)
_OTHER = re.compile(r"^\s*(?:import|export)\b.*|\bimport\(.*", re.MULTILINE)


@cache
def read_client() -> str:
    """Return the browser client, from the wheel's copy of its modules or the checkout's own."""
    packaged = resources.files("hub.pages").joinpath("client_js")
    return join_modules(packaged if packaged.is_dir() else CHECKOUT)


def join_modules(folder: Traversable) -> str:
    """Return one module that exports what the entry exports, and holds what that imports.

    Raises:
        ValueError: when a module imports or exports in another form than ours, or in a circle.
    """
    joined: dict[str, str] = {}

    def add(name: str, importers: tuple[str, ...]) -> None:
        if name in importers:
            raise ValueError(f"{name}: imports itself by way of {', '.join(importers)}")
        if name in joined:
            return
        source = folder.joinpath(name).read_text(encoding="utf-8")
        for imported in _IMPORT.findall(source):
            add(imported, (*importers, name))
        text = _TYPES.sub("", _IMPORT.sub("", source))
        private = _EXPORT.sub("", text)
        if other := _OTHER.search(private):
            raise ValueError(f"{name}: cannot be joined because of: {other[0].strip()}")
        joined[name] = f"// ---- {name} ----\n\n{text if name == ENTRY else private}"

    add(ENTRY, ())
    return "\n".join(joined.values())
