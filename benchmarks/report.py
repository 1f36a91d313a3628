"""RESULTS.md, from the JSON files of benchmarks/results/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks.comparisons import COMPARISONS

HEAD = """# Measurements

Written by `benchmarks/run.py`; above each table is the command that measured it. A step's seconds
are the median over a run's updates without the first two, then over the runs (lowest to highest
beside it). CPU seconds are those of all threads together. Memory is the peak resident set of the
process, mapped pages of the model's file included, or the peak allocated on a GPU. `time / X` is a
system's seconds divided by those of X, measured in the same run on the same machine; `CPU time / X`
compares CPU seconds, where the machine did other work (`--busy`). Memory is relative to the first
system's. Growth is the resident memory at the last update, divided by that at update 100. Where
batches differ, seconds are divided by a batch's number of texts first. Tokens are those of source
and target, of each text once.
"""


def write(folder: Path) -> None:
    """Write `folder`/RESULTS.md from every JSON file of `folder`/results."""
    files = sorted((folder / "results").glob("*.json"))
    sections = [section(json.loads(file.read_text("utf-8"))) for file in files]
    (folder / "RESULTS.md").write_text("\n".join([HEAD, *sections]), encoding="utf-8")


def section(result: dict[str, Any]) -> str:
    """Returns one result as a Markdown section: what was run, where, and its table."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    comparison, is_real = COMPARISONS[result["name"]], result.get("real_lengths")
    lengths = (
        "the shipped English texts' lengths, at most 1,024 tokens"
        if is_real
        else f"source {result['source']} and target {result['target']} tokens if not stated "
        "otherwise"
    )
    tokens = result.get("max_tokens")
    batch = f"Batches of at most {tokens:,} tokens" if tokens else f"Batch {result['batch']}"
    lines = [
        f"## {result['name']}, shape {result['shape']}{', real lengths' if is_real else ''}\n",
        f"`{result['command']}`\n",
        f"{comparison.step} {batch}, {lengths}; {result['repeats']} runs of "
        f"{result['updates']} updates, {result['threads']} threads. {result['date']}, "
        f"{result['machine']}; {versions}.\n",
        table(result["systems"], comparison.baselines, bool(result.get("busy"))),
    ]
    lines += [f"\n{name}: failed: {reason}" for name, reason in result.get("failed", {}).items()]
    return "\n".join([*lines, ""])


def table(
    systems: dict[str, dict[str, Any]], baselines: tuple[str, ...], busy: bool = False
) -> str:
    """Returns the Markdown table of a comparison; columns without a number are left out.

    Args:
        systems: the summary of each.
        baselines: those that the others' times are divided by.
        busy: whether these are CPU times, as the machine did other work.
    """
    key, prefix = ("cpu_s", "CPU ") if busy else ("step_s", "")
    first = next(iter(systems.values()))
    sizes = {row.get("batch") for row in systems.values()}

    def time(row: dict[str, Any]) -> float:
        return float(row[key] / row.get("batch", 1))  # a text's, as batches may differ

    rows = []
    for name, row in systems.items():
        cells = {
            "system": name,
            "seconds": "{step_s:.3f} ({step_low_s:.3f} to {step_high_s:.3f})".format_map(row),
            "CPU seconds": f"{row['cpu_s']:.2f}" if row["cpu_s"] > 0.05 * row["step_s"] else "",
            "peak MB": f"{row['peak_mb']:.0f}",
            **{f"{prefix}time / {other}": f"{time(row) / time(systems[other]):.3f}"
               for other in baselines if other in systems},
            "batch": f"{row.get('batch', '')}" if len(sizes) > 1 else "",
            "tokens / s": f"{row['tokens'] / row['step_s']:,.0f}"
            if "tokens" in row and not busy else "",
            "memory": f"{row['peak_mb'] / first['peak_mb']:.2f}",
            "growth": f"{row['growth']:.2f}" if row.get("growth") else "",
            "same outputs": f"{row['same']:.0%}" if "same" in row else "",
        }  # fmt: skip
        rows.append(cells)
    kept = [column for column in rows[0] if any(row[column] for row in rows)]
    numbers = [[row[column] for column in kept] for row in rows]
    return tabulate(numbers, kept, tablefmt="pipe", disable_numparse=True)
