"""What is installed is locked, with hashes, and agrees with pyproject.toml and package.json."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.test_docs import ROOT

FOLDER = ROOT / "requirements"
LOCKS = ("build", "hub", "dev", "bench")
PYTHONS = ("3.11", "3.12", "3.13")


@dataclass(frozen=True)
class Pin:
    """A version that is locked, where it counts, and by how many hashes."""

    requirement: Requirement
    hashes: int

    @property
    def version(self) -> str:
        """The one version that is taken."""
        (specifier,) = self.requirement.specifier
        assert specifier.operator == "=="
        return specifier.version


def normal(name: str) -> str:
    """Return a package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: str) -> dict[str, list[Pin]]:
    """Return what a lock holds, by package; one may stand there once for each Python."""
    text = (FOLDER / f"{lock}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    found: dict[str, list[Pin]] = {}
    for line in text.splitlines():
        requirement, *hashes = re.split(r"\s+--hash=sha256:(?=[0-9a-f]{64}\b)", line)
        pin = Pin(Requirement(requirement.strip()), len(hashes))
        found.setdefault(normal(pin.requirement.name), []).append(pin)
    return found


def pyproject() -> dict[str, Any]:
    """Return pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def group(name: str) -> list[str]:
    """Return what a dependency group asks for, with the groups that it includes."""
    entries = pyproject()["dependency-groups"][name]
    return [
        wanted
        for entry in entries
        for wanted in (group(entry["include-group"]) if isinstance(entry, dict) else [entry])
    ]


def wanted(lock: str) -> list[Requirement]:
    """Return what a lock has to hold at least."""
    texts = pyproject()["project"]["dependencies"] if lock == "hub" else group(lock)
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_holds_what_is_asked_for(lock: str) -> None:
    """Each package that pyproject.toml names is locked in a version that it allows: `make lock`."""
    held = pins(lock)
    for requirement in wanted(lock):
        assert normal(requirement.name) in held, f"{requirement.name}: make lock"
        for pin in held[normal(requirement.name)]:
            assert pin.version in requirement.specifier, f"{requirement}: make lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_is_held_by_hashes(lock: str) -> None:
    """A file that a registry was made to serve in place of another is not installed."""
    for name, entries in pins(lock).items():
        assert all(entry.hashes for entry in entries), name


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place(lock: str) -> None:
    """Packages come from whatever registry pip is set to; a lock holds names and hashes only."""
    assert not re.search(r"://|^-", (FOLDER / f"{lock}.txt").read_text(encoding="utf-8"), re.M)


def test_the_locks_agree() -> None:
    """A package that is in several locks has one version, whichever is installed last."""
    versions: dict[tuple[str, str], set[str]] = {}
    for lock in LOCKS:
        for name, entries in pins(lock).items():
            for python in PYTHONS:
                environment = {"python_full_version": f"{python}.5", "python_version": python}
                for entry in entries:
                    marker = entry.requirement.marker
                    if marker is None or marker.evaluate(environment):
                        versions.setdefault((name, python), set()).add(entry.version)
    assert {key: found for key, found in versions.items() if len(found) > 1} == {}


def test_the_build_backend_is_locked() -> None:
    """What builds the wheel is what the lock says, so that a build needs nothing else."""
    held = pins("build")
    for text in pyproject()["build-system"]["requires"]:
        requirement = Requirement(text)
        assert held[normal(requirement.name)][0].version in requirement.specifier


def test_make_installs_by_hashes_only() -> None:
    """Packages are installed from a lock, by its hashes; the hub comes without its dependencies."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    installs = re.findall(r"pip install (.*)", text)
    assert installs
    for options in installs:
        assert "--require-hashes" in options or "--no-deps --no-build-isolation" in options


def test_node_packages_are_locked() -> None:
    """Each package has a hash, no place, and what package.json asks for; ours are links."""
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    package = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    assert lock["packages"][""]["devDependencies"] == package["devDependencies"]
    links = {entry["resolved"] for entry in lock["packages"].values() if entry.get("link")}
    assert links == {"guard_js"}
    for name, entry in lock["packages"].items():
        if name and name not in links and not entry.get("link"):
            assert entry["integrity"].startswith("sha512-"), name
            assert "resolved" not in entry, name


def test_no_lock_is_forgotten() -> None:
    """Every file of requirements/ is one that these tests look at."""
    assert sorted(file.stem for file in Path(FOLDER).iterdir()) == sorted(LOCKS)
