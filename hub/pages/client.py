"""Joins the modules of the browser client and of its elements into one file each, at run time."""

from __future__ import annotations

import posixpath
import re
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

CLIENT = "client.js"
ELEMENTS = "elements.js"
CHECKOUT = Path(__file__).parents[2] / "client_js"

_IMPORT = re.compile(
    r'^import \{\s*(\w+(?:,\s*\w+)*),?\s*\} from "(\.\.?/[\w./-]+\.js)";\n', re.MULTILINE
)
_TYPES = re.compile(r"^/\*\* @import .*\*/\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async function|function|const|class) \w)", re.MULTILINE)
_EXPORTS = re.compile(r"^export \{\s*\w+(?:,\s*\w+)*,?\s*\};\n", re.MULTILINE)
_OTHER = re.compile(r"^\s*(?:import|export)\b.*|\bimport\(.*", re.MULTILINE)


@cache
def read_client() -> str:
    """Return the browser client, made of the modules in the wheel, or in the checkout."""
    return join_modules(_folder(), CLIENT)


@cache
def read_elements() -> str:
    """Return the custom elements, which import the client from the same folder."""
    return join_modules(_folder(), ELEMENTS, beside=CLIENT)


def _folder() -> Traversable:
    packaged = resources.files("hub.pages").joinpath("client_js")
    return packaged if packaged.is_dir() else CHECKOUT


def join_modules(folder: Traversable, entry: str, beside: str | None = None) -> str:
    """Return a single module with the exports of ``entry``, which includes all it imports.

    Imports from ``beside`` remain imports, since that module is served separately.

    Raises:
        ValueError: if imports are circular, or not of the form that this code can read.
    """
    joined: dict[str, str] = {}
    left: set[str] = set()

    def add(name: str, importers: tuple[str, ...]) -> None:
        if name in importers:
            raise ValueError(f"{name}: imports itself by way of {', '.join(importers)}")
        if name in joined:
            return

        def take(found: re.Match[str]) -> str:
            imported = posixpath.normpath(posixpath.join(posixpath.dirname(name), found[2]))
            if imported.startswith("../"):
                return found[0]
            if imported == beside:
                left.update(re.findall(r"\w+", found[1]))
            else:
                add(imported, (*importers, name))
            return ""

        text = _IMPORT.sub(take, _TYPES.sub("", folder.joinpath(name).read_text(encoding="utf-8")))
        private = _EXPORT.sub("", text)
        # ``export { name };`` is allowed in the entry only.
        if other := _OTHER.search(_EXPORTS.sub("", private) if name == entry else private):
            raise ValueError(f"{name}: cannot be joined because of: {other[0].strip()}")
        joined[name] = f"// ---- {name} ----\n\n{text if name == entry else private}"

    add(entry, ())
    imports = f'import {{ {", ".join(sorted(left))} }} from "./{beside}";\n\n' if left else ""
    return imports + "\n".join(joined.values())
