"""The Dockerfile's steps, taken outside a container: no machine of the project can build one."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import lacking
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.test_docs import ROOT

NOBODY = 10001
SECRET = "only for tests, and long enough for it"
BUILDING = 900
"""Seconds that installing all packages may take."""


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, with what follows each."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    found = [line.partition(" ") for line in text.splitlines() if line.strip()]
    return [(name, rest.strip()) for name, _, rest in found]


def ignored(path: str) -> bool:
    """Say whether .dockerignore keeps a file out: the last line that matches it decides."""
    out = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.lstrip("!").removeprefix("**/")
        parts = path.split("/")
        names = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        if line.startswith("**/"):
            names = parts
        if any(fnmatch.fnmatchcase(name, pattern) for name in names):
            out = not line.startswith("!")
    return out


def copy_what_the_build_copies(folder: Path) -> None:
    """Copy from the project what the first stage copies from its context."""
    for name, rest in instructions():
        if name != "COPY" or rest.startswith("--"):
            continue
        *sources, target = rest.split()
        for source in sources:
            found = ROOT / source
            files = [found] if found.is_file() else [f for f in found.rglob("*") if f.is_file()]
            assert files, f"{source} is not there"
            for file in files:
                path = file.relative_to(ROOT).as_posix()
                if ignored(path):
                    continue
                inside = file.name if found.is_file() else file.relative_to(found).as_posix()
                goal = folder / target / inside
                goal.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, goal)


def is_for_all(program: str) -> bool:
    """Say whether another user may run a program, wherever it lies."""
    path = Path(program).resolve()
    return all(part.stat().st_mode & 0o001 for part in (path, *path.parents))


def python_for_all() -> str:
    """Return a Python that another user may run, or at least this one."""
    for program in (sys.executable, "/usr/bin/python3"):
        check = "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))"
        if not Path(program).exists() or not is_for_all(program):
            continue
        if subprocess.run([program, "-c", check], capture_output=True).returncode == 0:
            return program
    return sys.executable


@dataclass(frozen=True)
class Image:
    """What the image would hold, and whether another user may run it."""

    folder: Path
    is_for_all: bool

    def environment(self, **settings: str) -> dict[str, str]:
        """Return the image's variables, and settings beside."""
        given = " ".join(rest for name, rest in instructions() if name == "ENV")
        pairs = dict(re.findall(r"(\w+)=(\S+)", given))
        path = f"{self.folder / 'hub' / 'bin'}:{os.environ['PATH']}"
        return {**pairs, "PATH": path, "HUB_HOST": "127.0.0.1", **settings}

    def start(self, command: list[str], **settings: str) -> subprocess.Popen[bytes]:
        """Run a command as the image's user if this user may, where it cannot write."""
        root = os.geteuid() == 0 and self.is_for_all
        return subprocess.Popen(
            command,
            cwd="/",
            env=self.environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            user=NOBODY if root else None,
            group=NOBODY if root else None,
            extra_groups=[] if root else None,
        )

    def ask_health(self, port: int) -> int:
        """Run the image's health check, and return how it ends."""
        (check,) = (rest for name, rest in instructions() if name == "HEALTHCHECK")
        command = json.loads(check.partition("CMD ")[2])
        assert command == ["python", "/opt/healthcheck.py"]
        file = str(self.folder / "healthcheck.py")
        process = self.start(["python", file], HUB_PORT=str(port))
        process.communicate(timeout=PATIENCE)
        return process.returncode

    def files(self) -> dict[str, float]:
        """Return all that is in it, and when it was changed."""
        return {str(path): path.lstat().st_mtime for path in self.folder.rglob("*")}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """What the Dockerfile's steps make, in a clean folder."""
    context = tmp_path_factory.mktemp("context")
    # pytest keeps others out of its own folders, and the image's user must enter this one.
    folder = Path(tempfile.gettempdir()) / f"logout-hub-image-{os.getpid()}"
    folder.mkdir()
    python = python_for_all()
    try:
        copy_what_the_build_copies(context)
        (run,) = (json.loads(rest) for name, rest in instructions() if name == "RUN")
        assert run[-1] == "/opt/logout-hub"
        done = subprocess.run(
            [*run[:-1], str(folder / "hub")],
            cwd=context,
            env={**os.environ, "PYTHON": python},
            capture_output=True,
            text=True,
            timeout=BUILDING,
            check=False,
        )
        if re.search(r"Could not find a version|Connection|Temporary failure", done.stderr):
            lacking("a package registry")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("logout-hub, version ")
        shutil.copy2(ROOT / "deploy" / "healthcheck.py", folder)
        folder.chmod(0o755)
        yield Image(folder, is_for_all(python))
    finally:
        shutil.rmtree(folder)


@pytest.mark.timeout(BUILDING + 300)
def test_the_image_runs_as_nobody_and_writes_nothing(image: Image) -> None:
    """The hub runs, passes its health check, stops at SIGTERM, and changes no file."""
    before = image.files()
    port = free_port()
    (entry,) = (json.loads(rest) for name, rest in instructions() if name == "ENTRYPOINT")
    (command,) = (json.loads(rest) for name, rest in instructions() if name == "CMD")
    assert image.ask_health(port) == 1
    hub = image.start([*entry, *command], HUB_PORT=str(port), HUB_JWT_SECRET=SECRET)
    try:
        deadline = time.monotonic() + PATIENCE
        while image.ask_health(port) != 0:
            assert hub.poll() is None, hub.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        hub.send_signal(signal.SIGTERM)
        _, log = hub.communicate(timeout=PATIENCE)
    finally:
        hub.kill()
    assert hub.returncode == 0, log
    assert SECRET.encode() not in log
    assert image.files() == before


@pytest.mark.timeout(BUILDING + 300)
def test_the_image_holds_what_is_locked_and_no_more(image: Image) -> None:
    """Neither pip nor what builds the hub is in what runs it."""
    names = {
        path.name.partition("-")[0].lower() for path in image.folder.glob("hub/lib/*/*/*.dist-info")
    }
    assert "logout_hub" in names
    assert not names & {"pip", "hatchling", "editables", "pytest", "uv"}


def test_the_image_is_not_roots() -> None:
    """The last user is a number that is not root's, as Kubernetes' runAsNonRoot can check it."""
    (user,) = (rest for name, rest in instructions() if name == "USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)


def test_secrets_and_history_stay_out_of_the_build() -> None:
    """Nothing reaches the build that the Dockerfile does not name."""
    for path in (".git/config", ".env", "hub/.env", "tests/site.py", "node_modules/x/index.js"):
        assert ignored(path), path
    for path in ("hub/app.py", "client_js/core.js", "client_js/elements/dom.js", "pyproject.toml"):
        assert not ignored(path), path
    assert ignored("client_js/core.test.js")
    assert ignored("hub/__pycache__/app.cpython-311.pyc")


def test_the_dockerfile_is_linted() -> None:
    """Hadolint finds nothing in it."""
    binary = Path(sys.executable).parent / "hadolint"
    if not binary.exists():
        lacking("hadolint")
    done = subprocess.run([binary, "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
