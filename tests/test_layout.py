"""The floors of the house: an import goes down or stays on its floor, never up."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

HUB = Path(__file__).parents[1] / "hub"

EDGE = {"core", "store", "access", "errors", "metrics", "settings", "log"}

FLOORS: dict[str, set[str]] = {
    # floor: what it may import of hub, besides itself
    "errors": set(),
    "metrics": set(),
    "log": set(),
    "settings": {"core"},
    "core": {"errors"},
    "protocol": {"core", "errors"},
    "store": {"core", "errors"},
    "access": {"core", "store", "errors", "metrics"},
    "api": EDGE,
    "realtime": EDGE | {"protocol"},
    "guard": EDGE,
    "pages": EDGE,
    "issuers_file": {"core", "settings"},
    "app": EDGE | {"api", "protocol", "realtime", "guard", "pages", "issuers_file"},
    "doctor": EDGE | {"app", "issuers_file"},
    "console": {"settings"},
    "commands": EDGE | {"api", "app", "console", "issuers_file"},
    "auditing": {"console", "core", "store", "errors"},
    "probing": EDGE | {"console"},
    "inspection": EDGE | {"issuers_file", "console"},
    "cli": EDGE
    | {
        "api",
        "app",
        "auditing",
        "inspection",
        "probing",
        "issuers_file",
        "doctor",
        "console",
        "commands",
    },
    "__main__": {"cli"},
    "__init__": EDGE | {"guard"},
}

EXCEPTIONS = {("api/client.py", "pages")}
"""A file, and the floor that it may import although its own may not."""

NEVER_IN_CORE = {"asyncio", "aiohttp", "redis", "socketio", "engineio", "time", "datetime"}
"""Floor 1 knows no I/O and no clock."""

FILES = sorted(HUB.rglob("*.py"))


def name_of(file: Path) -> str:
    """Return a file's path inside the package."""
    return file.relative_to(HUB).as_posix()


def floor_of(file: Path) -> str:
    """Return the floor that a file stands on."""
    return name_of(file).split("/")[0].removesuffix(".py")


class Imports(ast.NodeVisitor):
    """Gathers what a module imports when it runs; what is for types alone does not run."""

    def __init__(self) -> None:
        self.modules: set[str] = set()
        self.relative = False

    def visit_If(self, node: ast.If) -> None:
        """Pass over ``if TYPE_CHECKING``."""
        if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for child in node.orelse:
                self.visit(child)
        else:
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        """Note ``import a.b``."""
        self.modules |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Note ``from a import b`` as a.b, since b may be a module."""
        self.relative |= node.level > 0
        self.modules |= {f"{node.module}.{alias.name}" for alias in node.names}


def imports_of(file: Path) -> Imports:
    """Return what a file imports."""
    imports = Imports()
    imports.visit(ast.parse(file.read_text(encoding="utf-8")))
    return imports


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_file_imports_only_what_is_below(file: Path) -> None:
    """A file imports of hub only what the table of floors allows."""
    floor, name = floor_of(file), name_of(file)
    used = {parts[1] for m in imports_of(file).modules if (parts := m.split("."))[0] == "hub"}
    allowed = FLOORS[floor] | {floor} | {up for of, up in EXCEPTIONS if of == name}
    assert used <= allowed, f"{name} imports {used - allowed}"


@pytest.mark.parametrize("file", sorted(HUB.glob("core/*.py")), ids=name_of)
def test_core_knows_no_io_and_no_clock(file: Path) -> None:
    """The rules import nothing that waits, connects or tells the time."""
    used = {module.split(".")[0] for module in imports_of(file).modules}
    assert not used & NEVER_IN_CORE


def test_every_file_stands_on_a_floor() -> None:
    """A new file or folder gets its place in the table."""
    assert {floor_of(file) for file in FILES} <= set(FLOORS)


def test_the_table_goes_down_only() -> None:
    """No two floors import each other, not even over others."""
    order: list[str] = []
    left = dict(FLOORS)
    while left:
        ready = [floor for floor, below in left.items() if below <= {*order}]
        assert ready, f"a circle among {sorted(left)}"
        for floor in ready:
            order.append(floor)
            del left[floor]


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_are_written_in_full(file: Path) -> None:
    """No relative imports, so that a line says which floor it reaches for."""
    assert not imports_of(file).relative
