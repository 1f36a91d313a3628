"""RESULTS.md out of the JSON files of benchmarks/results/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HEAD = """# Measured

Written by `benchmarks/run.py`; every table names its command. Ratios are against the table's first
row, within one run on one machine. A step is the median over a run's updates but the first two,
then the median over the repeats (lowest to highest beside it). Memory is the peak resident set of
the whole process. "Work" is the share of the first row's matrix products that the row needs,
counted by hand in `benchmarks/shapes.py`.
"""


def write(folder: Path) -> None:
    """Write `folder`/RESULTS.md from every JSON file of `folder`/results."""
    results = [
        json.loads(p.read_text("utf-8")) for p in sorted((folder / "results").glob("*.json"))
    ]
    parts = [HEAD, *(table(result) for result in results if "contenders" in result)]
    (folder / "RESULTS.md").write_text("\n".join(parts), encoding="utf-8")


def table(result: dict[str, Any]) -> str:
    """One result as a Markdown section."""
    rows = result["contenders"]
    first = next(iter(rows.values()))
    lines = [
        f"## {result['name']}, shape {result['shape']}",
        "",
        f"`{result['command']}`",
        "",
        f"{result['date']}, {result['machine']}, {result['threads']} threads; batch "
        f"{result['batch']}, {result['repeats']} runs of {result['updates']} updates; "
        + ", ".join(f"{name} {version}" for name, version in result["versions"].items())
        + ".",
        *([result["note"]] if result["note"] else []),
        "",
        "| | time | memory | work | seconds a step | peak MB |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        share = f"{row['gflop'] / first['gflop']:.2f}" if row["gflop"] and first["gflop"] else ""
        lines.append(
            f"| {name} | **{row['step_s'] / first['step_s']:.2f}** "
            f"| {row['peak_mb'] / first['peak_mb']:.2f} | {share} "
            f"| {row['step_s']:.3f} ({row['step_low_s']:.3f} to {row['step_high_s']:.3f}) "
            f"| {row['peak_mb']:.0f} |"
        )
    return "\n".join([*lines, ""])
