"""The systemd units: valid, and with little exposure."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import lacking
from tests.deploy.balancers import DEPLOY, PATH
from tests.patience import PATIENCE

UNITS = {
    "logout-hub.service": "logout-hub.service",
    "logout-hub@.service": "logout-hub@8081.service",
}
MAX_EXPOSURE = 20  # in tenths
SHUTDOWN_SECONDS = 25


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze, which needs no systemd that runs."""
    binary = shutil.which("systemd-analyze", path=PATH)
    if binary is None:
        lacking("systemd-analyze")
    assert binary is not None
    return subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=PATIENCE)


@pytest.fixture(params=UNITS)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A unit as it is shipped, an instance of the template, but for a program that is here."""
    text = (DEPLOY / request.param).read_text(encoding="utf-8")
    assert "/opt/logout-hub/bin/logout-hub" in text
    path = tmp_path / UNITS[request.param]
    path.write_text(text.replace("/opt/logout-hub/bin/logout-hub", "/bin/true"), encoding="utf-8")
    return path


def test_the_unit_is_taken_without_a_warning(unit: Path) -> None:
    """Systemd accepts every line of it."""
    done = analyze("verify", "--man=no", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_leaves_little_exposed(unit: Path) -> None:
    """What systemd counts as exposed is at most 2.0 of 10."""
    options = ["--offline=true", f"--threshold={MAX_EXPOSURE}", "--no-pager"]
    done = analyze("security", *options, str(unit))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_waits_for_the_hub_to_end(name: str) -> None:
    """A hub that ends has its time before it is killed."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)s$", text, re.MULTILINE)
    assert int(seconds) > SHUTDOWN_SECONDS


def test_the_units_differ_in_the_replica_only() -> None:
    """The template is the unit, but for its port, its name and a file of settings of its own."""
    one, many = (
        {line for line in (DEPLOY / name).read_text(encoding="utf-8").splitlines() if "=" in line}
        for name in UNITS
    )
    assert {line.partition("=")[0] for line in one ^ many} == {
        "Description",
        "EnvironmentFile",
        "ExecStart",
        "LogsDirectory",
    }
