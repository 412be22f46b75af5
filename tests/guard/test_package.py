"""The guard can be installed alone."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

NEEDED = ("PyJWT", "msgspec", "cryptography", "cffi", "pycparser")
"""All that a pip of an empty environment would install along."""

SCRIPT = """
import sys
sys.path[:0] = {folders}
import hub.guard, jwt, time
hub_secret = "a secret for tests that is long enough"
guard = hub.guard.SyncGuard(
    "http://127.0.0.1:9", token="t", secret=hub_secret, on_stale="allow", start_timeout=0
)
now = time.time()
claims = {{"sub": "ada", "sid": "s1", "iat": now, "exp": now + 60}}
print(guard.check(jwt.encode(claims, hub_secret)).sid, hub.guard.__file__)
guard.close()
"""


def read(path: Path) -> dict[str, Any]:
    """Return the ``[project]`` of a pyproject.toml."""
    project: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    return project


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the guard."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT / "guard",
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("logout_hub_guard-*.whl")
    return built


def test_the_guard_works_alone(wheel: Path, tmp_path: Path) -> None:
    """With nothing but the packages that it names: no server is imported, nor could be."""
    installed, needed = tmp_path / "installed", tmp_path / "needed"
    needed.mkdir()
    for name in NEEDED:
        files = distribution(name).files or ()
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            (needed / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    script = SCRIPT.format(folders=[str(installed), str(needed)])
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["s1", str(installed / "hub" / "guard" / "__init__.py")]


def test_the_wheel_holds_the_guard_and_no_server(wheel: Path) -> None:
    """Its files are those of the repository."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if "dist-info" not in name}
    folders = {"hub", "hub/core", "hub/guard"}
    assert {str(Path(name).parent) for name in names} == folders
    assert {name for name in names if Path(name).parent == Path("hub")} == {
        "hub/__init__.py",
        "hub/errors.py",
        "hub/py.typed",
    }
    assert {file.name for file in ROOT.glob("hub/guard/*.py")} <= {Path(one).name for one in names}


def test_both_distributions_agree() -> None:
    """They have the same version, and ask for the same versions of what both need."""
    hub, guard = read(ROOT / "pyproject.toml"), read(ROOT / "guard" / "pyproject.toml")
    assert guard["version"] == hub["version"]
    assert guard["requires-python"] == hub["requires-python"]
    assert set(guard["dependencies"]) <= set(hub["dependencies"])
