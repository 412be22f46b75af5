"""Writes the results of the floods as JSON and as the documentation's table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.attack.floods import FLOODS
from benchmarks.measures import median, percentile
from benchmarks.servers import ROOT

FILE = Path(__file__).parents[1] / "attacks.json"
TABLE = Path(__file__).parents[1] / "attacks.md"
PAGE = ROOT / "docs" / "attacks.md"
BEGIN, END = "<!-- made by make attack -->", "<!-- end -->"

DISTURBED = 0.15
"""Times are marked if other programs used at least this share of the hub's core."""

SLOWER, NOTIFIED_WITHIN = 5.0, 1000.0
"""The bounds: times the quiet p99, and milliseconds until a logout is notified."""


def summarize(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a run: the quiet p99, and each flood relative to it.

    The quiet p99 is the median of those before each flood, so that one outlier does not matter.
    """
    quiet = median([percentile(row["quiet_ms"], 0.99) for row in rows])
    kept = [{name: row[name] for name in row if name != "quiet_ms"} for row in rows]
    return {
        "quiet_p99_ms": round(quiet, 1),
        "quiet_calls": sum(len(row["quiet_ms"]) for row in rows),
        "floods": {
            row["name"]: {**row, "times": round(row["flood_p99_ms"] / quiet, 1)} for row in kept
        },
    }


def misses(row: Mapping[str, Any]) -> list[str]:
    """Return the bounds that a flood exceeds, in words."""
    found = []
    if row["times"] > SLOWER:
        found.append(f"p99 {row['times']:g} times the quiet one")
    if row["failed"]:
        found.append(f"{row['failed']} of {row['calls']} calls not answered 204")
    if row["not_notified"]:
        found.append(f"{row['not_notified']} of {row['logouts']} logouts not notified")
    if row["notified_ms"] is not None and row["notified_ms"] > NOTIFIED_WITHIN:
        found.append(f"notified after {row['notified_ms'] / 1000:.1f} s")
    if row["closed_without_cause"]:
        found.append(f"{row['closed_without_cause']} sockets closed")
    if not row["well_afterwards"]:
        found.append("not well afterwards")
    if found and _mark(row):
        found.append(f"† while others took {row['others_on_core']:.0%} of the hub's core")
    return found


def read() -> dict[str, Any]:
    """Return the last report, or an empty one."""
    if not FILE.exists():
        return {"runs": {}}
    report: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return report


def write(report: Mapping[str, Any]) -> list[Path]:
    """Write the JSON, the table, and the table in the documentation; return the files."""
    FILE.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    TABLE.write_text(f"# Impact of floods\n\n{render(report)}", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    tail = rest.partition(END)[2]
    PAGE.write_text(f"{head}{BEGIN}\n\n{render(report)}\n{END}{tail}", encoding="utf-8")
    return [FILE, TABLE, PAGE]


def render(report: Mapping[str, Any]) -> str:
    """Return the tables and a summary, as Markdown."""
    runs = report["runs"]
    before, now = runs.get("before"), runs.get("now")
    lines = [_made(name, run) for name, run in (("now", now), ("before", before)) if run]
    lines += ["", *_table(runs), ""]
    if now:
        missed = [
            f"- {flood.title}: {', '.join(found)}"
            for flood in FLOODS
            if flood.name in now["floods"] and (found := misses(now["floods"][flood.name]))
        ]
        lines += ["What misses the bounds:", "", *missed] if missed else ["All within the bounds."]
    return "\n".join(lines) + "\n"


def _made(name: str, run: Mapping[str, Any]) -> str:
    machine = run["machine"]
    return (
        f"- {name}: `{run['command']}` on {run['date']}, commit {run['commit']}, "
        f"{machine['processor']}; quiet p99 {run['quiet_p99_ms']:g} ms "
        f"of {run['quiet_calls']:,} calls."
    )


Show = Callable[[Mapping[str, Any]], str]

COLUMNS: tuple[tuple[str, Show], ...] = (
    ("reached a second", lambda row: f"{row['rate']:,.0f}"),
    ("core", lambda row: f"{row['server_core']:.0%}"),
    ("p99, ms", lambda row: f"{row['flood_p99_ms']:,.0f}{_mark(row)}"),
    ("times the quiet", lambda row: f"{row['times']:,.1f}{_mark(row)}"),
    ("not 204", lambda row: f"{row['failed'] / row['calls']:.0%}"),
    (
        "notified within, ms",
        lambda row: "—" if row["notified_ms"] is None else f"{row['notified_ms']:,.0f}",
    ),
    ("not notified", lambda row: f"{row['not_notified']} of {row['logouts']}"),
    ("sockets closed", lambda row: f"{row['closed_without_cause']}"),
    ("memory, MiB", lambda row: f"{row['memory_after_mib'] - row['memory_before_mib']:+}"),
)
"""Each cell says ``before → now``."""


def _mark(row: Mapping[str, Any]) -> str:
    return "†" if row["others_on_core"] > DISTURBED else ""


def _table(runs: Mapping[str, Any]) -> list[str]:
    heads = ["flood", "tried", *(head for head, _ in COLUMNS)]
    lines = ["| " + " | ".join(heads) + " |", "| --- | --- |" + " ---: |" * len(COLUMNS)]
    for flood in FLOODS:
        rows = [runs[name]["floods"].get(flood.name) for name in ("before", "now") if name in runs]
        if any(rows):
            cells = [" → ".join(show(row) if row else "–" for row in rows) for _, show in COLUMNS]
            cells[0] += "" if flood.unit == "requests" else f" {flood.unit}"
            lines.append("| " + " | ".join([flood.title, flood.rate, *cells]) + " |")
    return lines
