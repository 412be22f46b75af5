"""The layers of CONTRIBUTING.md: a module imports from its own layer or those below."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

HUB = Path(__file__).parents[1] / "hub"

EDGE = {"model", "core", "store", "access", "errors", "metrics", "settings", "log"}

LAYERS: dict[str, set[str]] = {
    # layer: what it may import of hub, besides itself
    "model": set(),
    "errors": {"model"},
    "metrics": set(),
    "log": {"terminal"},
    "terminal": set(),
    "version": set(),
    "aiohttp_internals": set(),
    "core": {"model", "errors"},
    "setting_types": {"core"},
    "settings": {"model", "core", "setting_types"},
    "environment": {"settings"},
    "protocol": {"core", "errors"},
    "store": {"model", "core", "errors"},
    "access": {"model", "core", "store", "errors", "metrics"},
    "api": EDGE | {"aiohttp_internals", "protocol", "version"},
    "realtime": EDGE | {"aiohttp_internals", "protocol"},
    "guard": {"model", "core", "errors"},
    "pages": EDGE,
    "issuers_file": {"core", "settings"},
    "storage": {"model", "core", "store", "metrics", "settings"},
    "assembly": EDGE | {"protocol", "realtime"},
    "app": EDGE
    | {"aiohttp_internals", "api", "realtime", "guard", "pages"}
    | {"environment", "issuers_file", "storage", "assembly", "version"},
    "doctor": EDGE | {"issuers_file"},
    "console": {"environment", "settings", "terminal"},
    "commands": EDGE | {"console", "environment"},
    "watching": EDGE | {"storage", "console", "environment", "issuers_file"},
    "minting": EDGE | {"console", "environment"},
    "examining": EDGE | {"console", "doctor", "environment"},
    "serving": EDGE | {"api", "app", "console", "doctor", "environment"},
    "auditing": {"console", "environment", "core", "store", "errors", "log"},
    "probing": EDGE | {"console", "environment", "protocol"},
    "streaming": EDGE | {"storage", "console", "environment", "issuers_file"},
    "inspection": EDGE | {"issuers_file", "console", "environment", "terminal"},
    "cli": {"version", "terminal", "console", "settings"},
    "__main__": {"cli"},
    "__init__": EDGE | {"guard"},
}

OWN_LAYERS = {"hub/core/model.py": "model"}
"""Files that belong to another layer than their folder: errors speak of the model as rules do."""

CORE_MAY_IMPORT = {
    "__future__",
    "base64",
    "binascii",
    "collections",
    "contextlib",
    "cryptography",
    "enum",
    "functools",
    "hashlib",
    "hmac",
    "hub",
    "ipaddress",
    "json",
    "jwt",
    "math",
    "msgspec",
    "re",
    "tomllib",
    "typing",
    "unicodedata",
    "urllib.parse",
    "zlib",
}
"""What computes, and neither waits, connects, reads a file or a clock, nor draws lots."""

FILES = sorted(HUB.rglob("*.py"))


def module_of(file: Path) -> str:
    """Return the name by which a file is imported."""
    return ".".join(file.relative_to(HUB.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(file): file for file in FILES}


def name_of(file: Path) -> str:
    """Return a file's path inside the package."""
    return file.relative_to(HUB).as_posix()


def layer_of(file: Path) -> str:
    """Return the layer of a file."""
    return OWN_LAYERS.get(f"hub/{name_of(file)}", name_of(file).split("/")[0].removesuffix(".py"))


@cache
def imports_of(file: Path) -> frozenset[tuple[str, int]]:
    """Return what a file imports, and on which line, also where it is for types alone.

    ``from a import b`` counts as a and as a.b, since b may be a module.
    """
    found: set[tuple[str, int]] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {(alias.name, node.lineno) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names = {module, *(f"{module}.{alias.name}" for alias in node.names)}
            found |= {(name, node.lineno) for name in names}
    return frozenset(found)


def modules_of(file: Path) -> set[str]:
    """Return the modules of hub that a file imports."""
    return {name for name, _ in imports_of(file) if name in MODULES and name not in ("hub",)}


def offenders(files: Iterable[Path], may_import: Callable[[Path, str], bool]) -> list[str]:
    """Return the imports that a rule forbids, each by its file and line."""
    return [
        f"hub/{name_of(file)}:{line} imports {name}"
        for file in files
        for name, line in sorted(imports_of(file), key=lambda one: (one[1], one[0]))
        if not may_import(file, name)
    ]


def test_a_file_imports_only_what_is_below() -> None:
    """A file imports of hub only what the table of layers allows."""

    def is_below(file: Path, name: str) -> bool:
        if name not in MODULES or name == "hub":
            return True
        return layer_of(MODULES[name]) in LAYERS[layer_of(file)] | {layer_of(file)}

    assert not offenders(FILES, is_below)


def test_core_only_computes() -> None:
    """The rules import nothing that waits, connects or tells the time."""
    rules = [file for file in FILES if file.parent == HUB / "core"]
    assert rules
    assert not offenders(rules, lambda _, name: _is_within(name, CORE_MAY_IMPORT))


def _is_within(name: str, packages: set[str]) -> bool:
    # ``from urllib import parse`` counts as urllib too, of which only a part is allowed.
    return any(name == one or name.startswith(f"{one}.") for one in packages)


def test_modules_do_not_import_each_other() -> None:
    """There is no import cycle, not even within a layer, or by imports for types only."""
    graph = {name: modules_of(file) - {name} for name, file in MODULES.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_every_file_belongs_to_a_layer() -> None:
    """A new file or folder gets its place in the table."""
    assert {layer_of(file) for file in FILES} <= set(LAYERS)


def test_the_table_goes_down_only() -> None:
    """No two layers import each other, not even indirectly."""
    graphlib.TopologicalSorter(LAYERS).prepare()  # raises CycleError, which names the circle


def test_imports_are_written_in_full() -> None:
    """No relative imports, so that each line names the layer that it imports from."""
    assert not offenders(FILES, lambda _, name: not name.startswith("."))
