"""What guards cost, as JSON and as the table of the documentation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.measures import percentile
from benchmarks.servers import ROOT

FOLDER = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- made by make bench, guards -->", "<!-- end -->"

Found = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """A line of the table: a value, the peer's, and the target.

    ``most`` and ``least`` bound the number, ``most_ratio`` and ``least_ratio`` its ratio to that of
    the ``peer``.
    """

    key: str
    title: str
    unit: str
    value: float
    digits: int = 2
    peer: str = ""
    peer_value: float | None = None
    most: float | None = None
    most_ratio: float | None = None
    least_ratio: float | None = None

    @property
    def ratio(self) -> float | None:
        """The number by that of the peer."""
        return None if self.peer_value is None else self.value / self.peer_value

    @property
    def is_reached(self) -> bool:
        """Whether the number is within its bounds."""
        ratio = self.ratio or 0.0
        return (
            (self.most is None or self.value <= self.most)
            and (self.most_ratio is None or ratio <= self.most_ratio)
            and (self.least_ratio is None or ratio >= self.least_ratio)
        )


def rows_of(found: Found) -> list[Row]:
    """Return the rows for what was measured."""
    return [
        *_python_rows(found["python"]),
        *_node_rows(found["node"]),
        *_memory_rows(found["memory"]),
        *_start_rows(found["start"], found["start"]["logouts"]),
        *_web_rows(found["web"]),
        *_refused_rows(found["refused"]),
    ]  # fmt: skip


def _python_rows(found: Found) -> list[Row]:
    return [
        *(
            Row(
                f"check_{algorithm}", f"`check` of a known token, Python, {algorithm}", "µs",
                found[f"check {algorithm}"], 2, "PyJWT's `decode`", found[f"verify {algorithm}"],
                most=2.0, most_ratio=1 / 20,
            )
            for algorithm in ("RS256", "HS256")
        ),
        Row(
            "check_awaited", "the same, `await`ed, RS256", "µs",
            found["check, awaited"], 2, "PyJWT's `decode`", found["verify RS256"],
            most=2.0, most_ratio=1 / 20,
        ),
        Row("check_session", "`check_session`, Python", "µs", found["check_session"], most=1.5),
    ]  # fmt: skip


def _node_rows(found: Found) -> list[Row]:
    rows = [
        Row(
            f"node_{algorithm}", f"`check` of a known token, Node, {algorithm}", "µs",
            found[f"check {algorithm}"], 2, "jose's `jwtVerify`", found[f"verify {algorithm}"],
            most_ratio=1 / 20,
        )
        for algorithm in ("RS256", "HS256")
    ]  # fmt: skip
    return [*rows, Row("node_session", "`checkSession`, Node", "µs", found["check_session"])]


def _memory_rows(found: Found) -> list[Row]:
    return [
        Row("memory", "memory a revocation in force, Python", "B", found["python"], 0, most=250),
        Row("memory_node", "memory a revocation in force, Node", "B", found["node"], 0, most=150),
        Row("memory_check", "memory that a check leaves, Python", "B", found["check"], most=1),
        Row(
            "memory_check_node", "memory that a check leaves, Node", "B",
            found["node check"], most=1,
        ),
    ]  # fmt: skip


def _start_rows(found: Found, count: int) -> list[Row]:
    p99 = "p99 of `/verify` meanwhile"
    later = found["quiet p99"] * 1000
    failed = found["first failed"] + found["second failed"]
    return [
        Row("start", f"start with {count:,} in force", "s", found["second seconds"], most=10),
        Row(
            "start_p99", p99, "ms", found["second p99"] * 1000, 1, "later", later, most_ratio=2.0,
        ),
        Row("start_first", "the same, of replica and guard at once", "s", found["first seconds"]),
        Row("start_first_p99", p99, "ms", found["first p99"] * 1000, 1, "later", later),
        Row("start_failed", "calls of `/verify` that failed in both", "", failed, 0, most=0),
    ]  # fmt: skip


def _web_rows(found: Found) -> list[Row]:
    title = "requests a second of a bare FastAPI route, with the middleware"
    return [
        Row(
            key, f"{title}{of}", "1/s", found[f"with{of}"], 0, "without", found[f"without{of}"],
            least_ratio=0.93,
        )
        for key, of in (("web", ""), ("web_cpu", " of CPU"))
    ]  # fmt: skip


def _refused_rows(samples: Sequence[float]) -> list[Row]:
    p50, p99 = (percentile(samples, share) * 1000 for share in (0.5, 0.99))
    title = "from the 200 of a logout until refused, on two replicas"
    return [
        Row("refused_p50", f"{title}, p50", "ms", p50, 1, most=50),
        Row("refused_p99", f"{title}, p99", "ms", p99, 1, most=100),
    ]


def write(report: Mapping[str, Any], rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write guards.json and guards.md into a folder; the table of a full run also into the page."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {**report, "rows": [{**asdict(row), "ratio": row.ratio} for row in rows]}
    files = [folder / "guards.json", folder / "guards.md"]
    files[0].write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    files[1].write_text(f"# What guards cost\n\n{render(written)}", encoding="utf-8")
    if folder != FOLDER:
        return files
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    tail = rest.partition(END)[2]
    PAGE.write_text(f"{head}{BEGIN}\n\n{render(written)}\n{END}{tail}", encoding="utf-8")
    return [*files, PAGE]


def render(report: Mapping[str, Any]) -> str:
    """Return the table and what it was made by, as Markdown."""
    rows = [Row(**{name: row[name] for name in row if name != "ratio"}) for row in report["rows"]]
    lines = [
        f"`{report['command']}` on {report['date']}, commit {report['commit']}, "
        f"{report['machine']['processor']}.",
        "",
        "| what | unit | guard | beside | | ratio | to reach | |",
        "| --- | --- | ---: | --- | ---: | ---: | --- | --- |",
        *map(_line, rows),
    ]
    return "\n".join(lines) + "\n"


def summarize(report: Mapping[str, Any]) -> str:
    """Return the README's sentences about the results."""
    found = {row["key"]: row for row in report["rows"]}
    python, node = found["check_RS256"], found["node_RS256"]
    return (
        f"A guard checks a token that it has seen before in {python['value']:.1f} µs in Python, "
        f"1/{1 / python['ratio']:.0f} of PyJWT's time for RS256, and in {node['value']:.1f} µs in "
        f"Node, 1/{1 / node['ratio']:.0f} of jose's. A million logouts in force take "
        f"{found['memory']['value']:.0f} MB in Python and {found['memory_node']['value']:.0f} MB "
        f"in Node. On two replicas, 99% of the guards refused within "
        f"{found['refused_p99']['value']:.1f} ms of the 200 of a logout"
    )


def _line(row: Row) -> str:
    peer = "" if row.peer_value is None else f"{row.peer_value:,.{row.digits}f}"
    ratio = "" if row.ratio is None else f"**{row.ratio:.3f}**"
    reach = ", ".join(_reach(row))
    verdict = "" if not reach else "yes" if row.is_reached else "**no**"
    cells = (
        row.title, row.unit, f"{row.value:,.{row.digits}f}", row.peer, peer, ratio, reach, verdict,
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _reach(row: Row) -> list[str]:
    found = []
    if row.most is not None:
        found.append(f"≤ {row.most:g} {row.unit}")
    if row.most_ratio is not None:
        found.append(f"ratio ≤ {row.most_ratio:g}")
    if row.least_ratio is not None:
        found.append(f"ratio ≥ {row.least_ratio:g}")
    return found
