"""The browser client as it is served: one module, made of the modules of ``client_js``."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from hub.pages import read_client
from hub.pages.client import CHECKOUT, CLIENT, join_modules
from tests.conftest import lacking
from tests.patience import PATIENCE

DECLARATION = re.compile(
    r"^(?:export )?(?:async function|function|const|let|class) ([\w$]+)", re.MULTILINE
)
EXPORT = re.compile(r"^export (?:function|const|class) (\w+)", re.MULTILINE)


def modules(folder: Path, **sources: str) -> Path:
    """Write modules and return their folder."""
    for name, source in sources.items():
        (folder / f"{name}.js").write_text(source, encoding="utf-8")
    return folder


def node(*arguments: str) -> str:
    """Run Node and return what it wrote."""
    command = shutil.which("node")
    if command is None:
        lacking("node")
    done = subprocess.run(["node", *arguments], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """The client in a file, as a browser has it."""
    path = tmp_path / "served.mjs"
    path.write_text(read_client(), encoding="utf-8")
    return path


def test_each_name_is_declared_once() -> None:
    """Modules that become one scope do not share a name, and none is lost."""
    names = DECLARATION.findall(read_client())
    sources = [path.read_text("utf-8") for path in modules_of_the_client()]
    assert len(names) == len(set(names))
    assert sorted(names) == sorted(name for text in sources for name in DECLARATION.findall(text))


def test_nothing_is_imported_and_three_functions_are_exported() -> None:
    """The one file stands alone, and shows pages what is documented and no more."""
    text = read_client()
    assert re.findall(r"^\s*import\b|\bimport\(|@import", text, re.MULTILINE) == []
    assert EXPORT.findall(text) == ["createLogoutHub", "attach", "pageHub"]
    assert text.count("export ") == 3


def test_the_console_hears_of_mistakes_and_refusals_only() -> None:
    """No word is left over from debugging."""
    assert sorted(re.findall(r"console\.\w+\(\S+", read_client())) == [
        "console.error(error);",
        'console.warn("logout-hub:',
        "console.warn(`logout-hub:",
        "console.warn(`logout-hub:",
    ]


def test_it_is_one_valid_module(served: Path) -> None:
    """Node parses the joined file."""
    assert node("--check", str(served)) == ""


def test_importing_it_does_nothing(served: Path) -> None:
    """An import looks for its script tag, touches nothing else and leaves no global or timer."""
    script = f"""
        globalThis.document = Object.freeze({{ querySelectorAll: () => [] }});
        const page = ["window", "location", "localStorage", "sessionStorage", "fetch",
          "WebSocket", "addEventListener", "setTimeout", "setInterval"];
        for (const name of page) Object.defineProperty(globalThis, name, {{
          configurable: true, get() {{ throw new Error(`${{name}} was read`); }} }});
        const before = Reflect.ownKeys(globalThis).length;
        const exported = Object.keys(await import({served.as_uri()!r}));
        if (Reflect.ownKeys(globalThis).length !== before) throw new Error("a global is new");
        process.stdout.write(exported.sort().join());
    """
    assert node("--input-type=module", "--eval", script) == "attach,createLogoutHub,pageHub"


def test_the_wheel_takes_each_module_and_no_test() -> None:
    """What is installed is what a checkout serves."""
    project = tomllib.loads((CHECKOUT.parent / "pyproject.toml").read_text("utf-8"))
    taken = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    names = [path.relative_to(CHECKOUT) for path in CHECKOUT.rglob("*.js") if is_module(path)]
    assert taken == {f"client_js/{name}": f"hub/pages/client_js/{name}" for name in names}


def test_modules_come_in_the_order_of_their_imports(tmp_path: Path) -> None:
    """What is imported stands first, once, and loses its export."""
    modules(
        tmp_path,
        client='import { b } from "./b.js";\nimport {\n  a,\n  c,\n} from "./a.js";\n\n'
        "export const client = [a, b, c];\n",
        b='/** @import { A } from "./a.js" */\nimport { a } from "./a.js";\nexport const b = a;\n',
        a="export const a = 1;\nexport async function c() {}\n",
        unused="nonsense",
    )
    lines = [
        line for line in join_modules(tmp_path, CLIENT).splitlines() if line and line[0] != "/"
    ]
    assert lines == [
        "const a = 1;",
        "async function c() {}",
        "const b = a;",
        "export const client = [a, b, c];",
    ]


def test_a_module_of_a_folder_may_leave_the_client_beside(tmp_path: Path) -> None:
    """Imports are found from where they stand, and those of the client are one, at the top."""
    (tmp_path / "parts").mkdir()
    modules(tmp_path / "parts", a='import { one } from "../client.js";\nexport class A {}\n')
    modules(
        tmp_path,
        tasks="export const later = 1;\n",
        elements='import { two, one } from "./client.js";\nimport { later } from "./tasks.js";\n'
        'import { A } from "./parts/a.js";\nexport const B = [A, one, two, later];\n',
    )
    joined = join_modules(tmp_path, "elements.js", beside=CLIENT)
    lines = [line for line in joined.splitlines() if line and line[0] != "/"]
    assert lines == [
        'import { one, two } from "./client.js";',
        "const later = 1;",
        "class A {}",
        "export const B = [A, one, two, later];",
    ]


@pytest.mark.parametrize(
    "line",
    [
        'import a from "./a.js";',
        'import * as a from "./a.js";',
        'import { a as b } from "./a.js";',
        'import { a } from "a";',
        'import { a } from "../a.js";',
        'import { a } from "./deeper/../../a.js";',
        "import { a } from './a.js';",
        'import { a } from "./a.js"',
        'import { a } from "./a.js"; import { b } from "./b.js";',
        'import "./a.js";',
        'const a = await import("./a.js");',
        "export default a;",
        "export { a };",
        'export { a } from "./a.js";',
        'export * from "./a.js";',
        "  export const a = 1;",
    ],
)
def test_other_forms_are_refused_by_name(tmp_path: Path, line: str) -> None:
    """An import or export that would be joined wrongly is an error that names its file."""
    modules(tmp_path, client='import { b } from "./b.js";\n', b=f"{line}\n", a="")
    with pytest.raises(ValueError, match=r"^b\.js: cannot be joined because of: "):
        join_modules(tmp_path, CLIENT)


def test_a_circle_is_refused_by_name(tmp_path: Path) -> None:
    """Modules that import each other have no order."""
    modules(
        tmp_path,
        client='import { b } from "./b.js";\n',
        b='import { a } from "./a.js";\n',
        a='import { b } from "./b.js";\n',
    )
    with pytest.raises(ValueError, match=r"^b\.js: imports itself by way of client\.js, b\.js"):
        join_modules(tmp_path, CLIENT)


def modules_of_the_client() -> list[Path]:
    """Return the modules of ``/client.js``: the elements are a file of their own."""
    return [
        path for path in CHECKOUT.glob("*.js") if is_module(path) and path.name != "elements.js"
    ]


def is_module(path: Path) -> bool:
    """Tell the client's modules from its tests, and from the servers that those start."""
    is_test = path.name.endswith(".test.js") or path.name.startswith("support")
    return not is_test and path.parent.name != "servers"
