"""The benchmarks: their tables, and the files that they write."""

from __future__ import annotations

import argparse
import asyncio
import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import FULL, choose_folder
from benchmarks.calls import Calls
from benchmarks.cargo import build_peer
from benchmarks.frames import post_request
from benchmarks.guards import report as guards
from benchmarks.report import FOLDER, render
from benchmarks.rows import table_rows
from benchmarks.scenarios import all_scenarios
from benchmarks.servers import ROOT
from tests.patience import PATIENCE

ROWS = table_rows(FULL.growth)
DIGITS = {row.key: row.digits for row in ROWS}


@pytest.fixture
def without_rust() -> dict[str, Any]:
    """Return the kept report, as a machine without cargo would write it."""
    report: dict[str, Any] = json.loads((FOLDER / "results.json").read_text(encoding="utf-8"))
    for row in report["rows"]:
        row["results"].pop("rust", None)
        row["ratios"].pop("rust", None)
    report["clients"] = {
        name: counts for name, counts in report["clients"].items() if not name.endswith(" rust")
    }
    return {**report, "left_out": {"rust": "cargo is not installed"}}


def _heads(page: str) -> list[str]:
    (line,) = (line for line in page.splitlines() if line.startswith("| row |"))
    return [head.strip() for head in line.strip("|").split("|")]


def test_table_without_rust(without_rust: dict[str, Any]) -> None:
    """Without cargo the table has all other peers, and one line says who is missing and why."""
    page = render(without_rust, DIGITS)
    assert "hub / Node" in _heads(page)
    assert "hub / Rust" not in _heads(page)
    assert "\nRust socketioxide is left out: cargo is not installed.\n" in page


def test_table_with_rust(without_rust: dict[str, Any]) -> None:
    """The peer in Rust has a column and a ratio, beside Node's."""
    report = copy.deepcopy(without_rust)
    report["left_out"] = {}
    for row in report["rows"]:
        row["results"]["rust"] = row["results"]["hub"]
        row["ratios"]["rust"] = 2.0
    page = render(report, DIGITS)
    heads = _heads(page)
    node = heads.index("hub / Node")
    assert heads[node + 1 : node + 3] == ["Rust socketioxide", "hub / Rust"]
    assert "left out" not in page


def test_build_without_cargo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where cargo is not installed, the peer in Rust is left out and nothing fails."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build_peer() == "cargo is not installed"


def test_short_runs_keep_results() -> None:
    """A quick run, or one of some rows, does not overwrite the results of the full one."""
    full = argparse.Namespace(quick=False, rows=None)
    assert choose_folder(full) == FOLDER
    for changed in ({"quick": True}, {"rows": "idle"}):
        assert choose_folder(argparse.Namespace(**{**vars(full), **changed})) != FOLDER


def test_scenarios_fill_rows() -> None:
    """Each row except `idle` is measured in exactly one scenario."""
    measured = [key for scenario in all_scenarios(FULL.growth) for key in scenario.rows]
    assert sorted(measured) == sorted(row.key for row in ROWS if row.key != "idle")


def test_the_page_has_the_table_of_guards() -> None:
    """The numbers of guards in the documentation are those of the last full run."""
    report = json.loads((FOLDER / "guards.json").read_text(encoding="utf-8"))
    page = guards.PAGE.read_text(encoding="utf-8")
    table = page.partition(guards.BEGIN)[2].partition(guards.END)[0]
    assert table.strip() == guards.render(report).strip()
    assert guards.render(report) in (FOLDER / "guards.md").read_text(encoding="utf-8")
    assert guards.summarize(report) in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_row_of_guards_says_what_it_missed() -> None:
    """Each bound counts, of the number and of its ratio."""
    row = guards.Row("key", "title", "µs", 3.0, 2, "peer", 30.0, most=2.0, most_ratio=0.2)
    assert not row.is_reached
    assert "≤ 2 µs, ratio ≤ 0.2 | **no** |" in guards.render(report_of(row))
    assert dataclasses.replace(row, value=2.0).is_reached
    assert not dataclasses.replace(row, value=2.0, peer_value=2.0).is_reached
    assert not dataclasses.replace(row, value=2.0, least_ratio=0.1).is_reached


def report_of(*rows: guards.Row) -> dict[str, Any]:
    """Return a report of some rows."""
    made = {"command": "any", "date": "today", "commit": "any", "machine": {"processor": "any"}}
    return {**made, "rows": [dataclasses.asdict(row) for row in rows]}


async def test_call_after_close() -> None:
    """A kept connection that the server has closed meanwhile is not used for the next call."""
    closed = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        closed.set()

    server = await asyncio.start_server(answer, "127.0.0.1")
    calls = Calls(server.sockets[0].getsockname()[1])
    async with server:
        for _ in range(2):
            status, _ = await calls.call(post_request("/logout", "any"), 10)
            assert status == 200
            await asyncio.wait_for(closed.wait(), PATIENCE)
            await asyncio.sleep(0.1)  # until the client has noticed the close as well
            closed.clear()
    calls.close()
