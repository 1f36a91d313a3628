"""RESULTS.md out of the JSON files of benchmarks/results/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.claims import found
from benchmarks.suites import SUITES

HEAD = """# Measured

Written by `benchmarks/run.py`; every table names its command. Ratios are against the table's first
row, within one run on one machine. A step is the median over a run's updates but the first two,
then the median over the repeats (lowest to highest beside it). "Processors" are seconds of all
threads together, which hold on a busy machine too. Memory is the peak resident set of the whole
process, mapped pages of the model's file included, or what was allocated at most on an accelerator.
"Work" is the share of the first row's matrix products that the row needs, counted by hand in
`benchmarks/shapes.py`: the floor of the time.
"""


def write(folder: Path) -> None:
    """Write `folder`/RESULTS.md from every JSON file of `folder`/results."""
    results = [
        json.loads(p.read_text("utf-8")) for p in sorted((folder / "results").glob("*.json"))
    ]
    parts = [HEAD, *(table(result) for result in results if "contenders" in result)]
    (folder / "RESULTS.md").write_text("\n".join(parts), encoding="utf-8")


def heading(result: dict[str, Any]) -> list[str]:
    """What was run, where and by which command."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return [
        f"## {result['name']}, shape {result['shape']}",
        "",
        f"`{result['command']}`",
        "",
        f"{result.get('about', '')} Batch {result['batch']}, source {result['source']} and target "
        f"{result['target']} tokens where nothing else is said; {result['repeats']} runs of "
        f"{result['updates']} updates, {result['threads']} threads. {result['date']}, "
        f"{result['machine']}; {versions}.",
        *([result["note"]] if result["note"] else []),
        "",
    ]


COLUMNS = (
    ("work", "gflop", ".2f"),
    ("same outputs", "same", ".0%"),
    ("written MB", "written_mb", ",.1f"),
)


def table(result: dict[str, Any]) -> str:
    """One result as a Markdown section."""
    rows = result["contenders"]
    first = next(iter(rows.values()))
    extra = [column for column in COLUMNS if any(row.get(column[1]) for row in rows.values())]
    names = ["", "time", "memory", "seconds", "processors", "peak MB", *(c[0] for c in extra)]
    lines = [*heading(result), f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    for name, row in rows.items():
        cells = [
            name,
            f"**{row['step_s'] / first['step_s']:.2f}**",
            f"{row['peak_mb'] / first['peak_mb']:.2f}",
            f"{row['step_s']:.3f} ({row['step_low_s']:.3f} to {row['step_high_s']:.3f})",
            f"{row['cpu_s']:.2f}" if row.get("cpu_s") else "",
            f"{row['peak_mb']:.0f}",
            *(cell(row, first, key, form) for _, key, form in extra),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [f"\n{name}: failed: {why}" for name, why in result.get("failed", {}).items()]
    return "\n".join([*lines, "", *asked(result)])


def cell(row: dict[str, Any], first: dict[str, Any], key: str, form: str) -> str:
    """A number of a row; work as its share of the first row's."""
    if row.get(key) is None or (key == "gflop" and not (row[key] and first[key])):
        return ""
    return format(row[key] / first[key] if key == "gflop" else row[key], form)


def asked(result: dict[str, Any]) -> list[str]:
    """The ratios that are asked for, as a table of their own; empty where none was measured."""
    claims = SUITES[result["name"]].claims if result["name"] in SUITES else ()
    measured = found(claims, result["contenders"])
    if not measured:
        return []
    lines = ["| ratio | of | measured | processors | asked at large | counted |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for one in measured:
        most = f"{one['most']:.2f}" if one["most"] else ""
        floor = f"{one['floor']:.2f}" if one["floor"] else ""
        cpu = f"{one['cpu']:.2f}" if one["cpu"] else ""
        lines.append(f"| {one['row']} / {one['against']} | {one['kind']} | "
                     f"**{one['ratio']:.3f}** | {cpu} | {most} | {floor} |")  # fmt: skip
    return [*lines, ""]
