"""Writes the results as JSON, as a table and as a chart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measures import median
from benchmarks.rows import DISTURBED, Row, Sample
from benchmarks.servers import LABELS

FOLDER = Path(__file__).parent
OURS = "hub"
PEERS = ("node", "rust", "stock", "echo")
SHORT_LABELS = {"node": "Node", "rust": "Rust"}
BUSY = 0.9
"""Above this share of its core, the generator may be the bottleneck."""


def summarize(row: Row, samples: Sequence[Sample]) -> dict[str, Any]:
    """Return a row: for each kind the median of the rounds, and the hub's ratio to each peer."""
    results: dict[str, Any] = {}
    for kind in LABELS:
        own = [sample for sample in samples if (sample.row, sample.kind) == (row.key, kind)]
        if own:
            results[kind] = _summarize_kind(own)
    ratios = {}
    if OURS in results:
        for peer in PEERS:
            if peer in results and results[peer]["median"] > 0:
                ratio = results[OURS]["median"] / results[peer]["median"]
                ratios[peer] = round(ratio, 3)
    return {
        "key": row.key,
        "title": row.title,
        "unit": row.unit,
        "more_is_better": row.more_is_better,
        "results": results,
        "ratios": ratios,
    }


def _summarize_kind(own: Sequence[Sample]) -> dict[str, Any]:
    # A disturbed round counts only when there is no quiet one.
    counted = [sample for sample in own if _others(sample) <= DISTURBED] or own
    generator = median([sample.cost.generator_share for sample in counted])
    redis = median([sample.cost.redis_share for sample in counted])
    others = max(_others(sample) for sample in counted)
    return {
        "median": round(median([sample.value for sample in counted]), 3),
        "rounds": [round(sample.value, 3) for sample in counted],
        "disturbed_rounds": [round(sample.value, 3) for sample in own if sample not in counted],
        "generator_share": round(generator, 3),
        "redis_share": round(redis, 3),
        "others_share": round(others, 3),
        "disturbed": others > DISTURBED,
        "generator_bound": generator + redis > BUSY,
    }


def _others(sample: Sample) -> float:
    # In `idle` the servers run side by side, so each counts the others as other programs.
    return 0.0 if sample.row == "idle" else sample.cost.others_share


def write(report: Mapping[str, Any], rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write results.json, results.md and results.png into a folder; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"results.{ending}" for ending in ("json", "md", "png")]
    files[0].write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    digits = {row.key: row.digits for row in rows}
    files[1].write_text(render(report, digits), encoding="utf-8")
    draw(report, files[2])
    return files


def render(report: Mapping[str, Any], digits: Mapping[str, int]) -> str:
    """Return the page."""
    plan, generator = report["plan"], report["generator"]
    lines = [
        "# Benchmark results",
        "",
        f"Made by `{report['command']}` on {report['date']}: "
        f"{plan['sockets']:,} sockets, {_rounds(plan['rounds'])}. "
        "What each row means and what it does not: [docs/benchmarks.md](../docs/benchmarks.md).",
        "",
        *_table(report["rows"], digits),
        "",
        "In brackets: the lowest and the highest round. Ratios are hub / peer. "
        "Rows marked ↑ are better when higher, all others when lower. "
        "`generator` is the generator's share of its core while the hub, then Node, then Rust was "
        "measured; `*` marks a number that the generator may have held back, `†` one whose "
        "rounds were all disturbed by other programs; else, disturbed rounds do not count.",
        "",
        *_left_out(report.get("left_out", {})),
        *_picture(),
        "## Is it the generator?",
        "",
        f"Against a server that does next to nothing, the same generator makes "
        f"{generator['connects_per_second']:,.0f} connects a second and takes in "
        f"{generator['notified_per_second']:,.0f} notices a second.",
        "",
        "## Was the machine quiet?",
        "",
        f"Others took at most {_worst(report['rows']):.0%} of the server's core during a round "
        f"that counts. Turns that were measured again because of others: {report['repeated']}.",
        "",
        "## Did everything arrive?",
        "",
        *_counts(report["clients"]),
        "",
        *_failures(report["failures"]),
        "## The machine",
        "",
        *(f"- {name}: {value}" for name, value in report["machine"].items()),
        *(f"- {name}: {value}" for name, value in report["versions"].items()),
        "- The server alone on one core; the generator and the store on another.",
        "",
    ]
    return "\n".join(lines)


def _rounds(count: int) -> str:
    return "1 round" if count == 1 else f"{count} rounds in turn, medians"


def _table(rows: Sequence[Mapping[str, Any]], digits: Mapping[str, int]) -> list[str]:
    kinds = [kind for kind in (OURS, *PEERS) if any(kind in row["results"] for row in rows)]
    peers = [kind for kind in kinds if kind != OURS]
    heads = ["row", "unit"]
    for kind in kinds:
        heads.append(LABELS[kind])
        if kind != OURS:
            heads.append(f"hub / {SHORT_LABELS.get(kind, LABELS[kind])}")
    heads.append("generator")
    lines = ["| " + " | ".join(heads) + " |", "| --- | --- |" + " ---: |" * (len(heads) - 2)]
    for row in rows:
        arrow = " ↑" if row["more_is_better"] else ""
        cells = [row["title"] + arrow, row["unit"]]
        for kind in kinds:
            cells.append(_number(row["results"].get(kind), digits[row["key"]]))
            if kind in peers:
                cells.append(f"**{row['ratios'][kind]:.2f}**" if kind in row["ratios"] else "")
        shares = [
            f"{row['results'][kind]['generator_share']:.0%}"
            for kind in (OURS, *SHORT_LABELS)
            if kind in row["results"]
        ]
        cells.append(", ".join(shares))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _number(result: Mapping[str, Any] | None, digits: int) -> str:
    if result is None:
        return ""
    star = ("*" if result["generator_bound"] else "") + ("†" if result["disturbed"] else "")
    text = f"{result['median']:,.{digits}f}{star}"
    if len(result["rounds"]) > 1:
        low, high = min(result["rounds"]), max(result["rounds"])
        text += f" ({low:,.{digits}f}–{high:,.{digits}f})"
    return text


def _picture() -> list[str]:
    return ["![The hub beside Node and Rust, row by row, and how memory grows](results.png)", ""]


def _worst(rows: Sequence[Mapping[str, Any]]) -> float:
    shares = [result["others_share"] for row in rows for result in row["results"].values()]
    return max(shares, default=0.0)


def _counts(clients: Mapping[str, Mapping[str, int]]) -> list[str]:
    usual = ("accepted", "notified", "acknowledged", "closed")
    lines = [
        "| sockets of | accepted | notified | acknowledged | closed | else |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    hidden = {*usual, "pings", "compressed", "disconnect packets"}
    for name, counts in clients.items():
        scenario, _, kind = name.partition(" ")
        rest = ", ".join(f"{what}: {count}" for what, count in counts.items() if what not in hidden)
        cells = " | ".join(f"{counts.get(what, 0):,}" for what in usual)
        lines.append(f"| {scenario}, {LABELS[kind]} | {cells} | {rest} |")
    return lines


def _failures(failures: Sequence[str]) -> list[str]:
    if not failures:
        return []
    return ["## What failed", "", *(f"- {text}" for text in failures), ""]


def _left_out(reasons: Mapping[str, str]) -> list[str]:
    lines = [f"{LABELS[kind]} is left out: {why}." for kind, why in reasons.items()]
    return [*lines, ""] if lines else []


def draw(report: Mapping[str, Any], file: Path) -> None:
    """Draw the ratios to Node and Rust, and memory a connection as connections grow."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [row for row in report["rows"] if not row["key"].startswith("growth")]
    compared = [row for row in rows if "node" in row["ratios"]]
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(9.6, 4.2), dpi=90, width_ratios=(3, 2), layout="constrained"
    )
    gains = [_gain(row, "node") for row in compared]
    names = [row["title"] + (" (inverted)" if row["more_is_better"] else "") for row in compared]
    colors = ["#2a9d5c" if gain <= 1 else "#c8553d" for gain in gains]
    bars = left.barh(names, [gain - 1 for gain in gains], left=1, color=colors)
    left.bar_label(bars, [f"{gain:.2f}" for gain in gains], padding=3, fontsize=8)
    rust = [(_gain(row, "rust"), row) for row in compared if "rust" in row["ratios"]]
    if rust:
        places = [compared.index(row) for _, row in rust]
        left.scatter(
            [gain for gain, _ in rust], places, marker="D", color="black", s=16, label="hub / Rust"
        )
        left.legend(fontsize=8)
    left.set_xscale("log", base=2)
    left.xaxis.set_major_formatter("{x:g}")
    left.axvline(1, color="black", linewidth=1)
    left.margins(x=0.2)
    left.invert_yaxis()
    left.tick_params(labelsize=8)
    left.set_title("cost, hub / Node (1 = the same, less is better)", fontsize=9)
    _draw_growth(report, right)
    figure.savefig(file)
    pyplot.close(figure)


def _gain(row: Mapping[str, Any], peer: str) -> float:
    # What is left of the line is better than the peer, also where more is better.
    ratio = float(row["ratios"][peer])
    return 1 / ratio if row["more_is_better"] else ratio


def _draw_growth(report: Mapping[str, Any], axes: Any) -> None:
    prefix = "growth_memory_"
    rows = [row for row in report["rows"] if row["key"].startswith(prefix)]
    for kind in (OURS, *PEERS):
        points = [
            (int(row["key"].removeprefix(prefix)), row["results"][kind]["median"])
            for row in rows
            if kind in row["results"]
        ]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", label=LABELS[kind])
    if rows:
        axes.legend(fontsize=8)
        axes.set_xscale("log", base=2)
        sizes = [int(row["key"].removeprefix(prefix)) for row in rows]
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_formatter("{x:.0f}")
    axes.tick_params(labelsize=8)
    axes.set_title("KiB a connection, by connections", fontsize=9)
