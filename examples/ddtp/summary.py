"""Print the recipe's table from the result files, as Markdown, and what it means."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

HEADER = (
    "| | language | ROUGE-L (95 %) | right language | copied | length ratio | trained | minutes |",
    "|---|---|---|---|---|---|---|---|",
)
FLOORS = {
    "lead1": "LEAD-1: the source's first sentence",
    "english_reference": "the English reference: right content, wrong language",
    "oracle": "oracle: the best source sentence",
}

MEANING = """
The backbone that ships with the examples is tiny beside mBART and has read little, so a plain copy
of the first sentence (LEAD-1) may well beat it; the table shows that the whole chain works and
which failures occur (wrong language, copying), not what mBART-large would reach. laft has read
stage 1's unlabelled text, mbart_full has not: a difference between them is not yet a comparison of
the methods alone. Nor was either's learning rate chosen from a grid, and one seed says nothing
about the spread.
"""


def read(path: Path) -> dict[str, Any]:
    """A JSON file of the recipe; a clear line if it is missing."""
    if not path.exists():
        sys.exit(f"{path}: no such result; run examples/ddtp/run.sh to the end")
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def percent(value: float | None) -> str:
    """A share, or a dash where it cannot be said."""
    return "-" if value is None else f"{value:.1f} %"


def interval(score: dict[str, float]) -> str:
    """``21.3 (19.8 to 22.9)``."""
    return f"{score['f']:.1f} ({score['low']:.1f} to {score['high']:.1f})"


def minutes(out: Path, method: str) -> str:
    """Wall time of a method's trainings."""
    steps = [f"{method}_{stage}_done" for stage in ("stage1", "stage2")]
    found = [path for step in steps for path in (out / "seconds").glob(f"*_{step}")]
    seconds = [int(path.read_text()) for path in found]
    return f"{sum(seconds) / 60:.1f}" if seconds else "-"


def trained(out: Path, method: str) -> str:
    """``0.5 of 10.9M (4.9 %)``, as ``laft parameters`` counted stage 2."""
    counts = read(out / method / "parameters.json")
    share, total = counts["stages"]["generation"]["trained"], counts["total"]
    return f"{share / 1e6:.2f}M of {total / 1e6:.2f}M ({100 * share / total:.1f} %)"


def rows(out: Path, methods: list[str], targets: list[str]) -> list[str]:
    """The table's lines: methods, then floors, for each language."""
    lines = list(HEADER)
    for lang in targets:
        scores: dict[str, Any] = {}
        for method in methods:
            scores = read(out / method / f"score.{lang}.json")
            lines.append(
                f"| **{method}** | {lang} | {interval(scores['rougeL'])} "
                f"| {percent(scores['right_language'])} | {percent(scores['copied'])} "
                f"| {scores['length_ratio'] or 0:.2f} | {trained(out, method)} "
                f"| {minutes(out, method)} |"
            )
        for key, name in FLOORS.items():
            floor = scores.get("floors", {}).get(key)
            if floor is not None:
                lines.append(f"| {name} | {lang} | {interval(floor['rougeL'])} | | | | | |")
        right, copied = scores["reference_right_language"], scores["reference_copied"]
        lines.append(
            f"| the references themselves | {lang} | | {percent(right)} | {percent(copied)} | | | |"
        )
    return lines


def verdict(out: Path, methods: list[str], targets: list[str]) -> list[str]:
    """An honest sentence for each language on what the numbers say."""
    lines = []
    for lang in targets:
        scores = {method: read(out / method / f"score.{lang}.json") for method in methods}
        lead = next(iter(scores.values()))["floors"]["lead1"]["rougeL"]
        for method, report in scores.items():
            f, low, high = (report["rougeL"][key] for key in ("f", "low", "high"))
            above, below = low > lead["high"], high < lead["low"]
            place = "above" if above else "below" if below else "level with"
            lines.append(f"- {lang}: {method} at {f:.1f} is {place} LEAD-1 at {lead['f']:.1f}.")
        if len(methods) == 2:
            a, b = (scores[method]["rougeL"] for method in methods)
            apart = a["low"] > b["high"] or b["low"] > a["high"]
            lines.append(
                f"- {lang}: {methods[0]} and {methods[1]} differ by {a['f'] - b['f']:+.1f}; "
                f"their intervals {'do not overlap' if apart else 'overlap'}."
            )
    return lines


def main() -> None:
    """Print the table for the folder of a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--methods", default="laft mbart_full")
    parser.add_argument("--targets", default="fr_XX zh_CN")
    parser.add_argument("--task", default="headlines", help="what the title calls the outputs")
    args = parser.parse_args()
    methods, targets = args.methods.split(), args.targets.split()
    n = read(args.out / methods[0] / f"score.{targets[0]}.json")["n"]
    print(f"\nZero-shot {args.task}, trained on English pairs only; {n} test items a language.\n")
    print("\n".join(rows(args.out, methods, targets)))
    print(MEANING)
    print("\n".join(verdict(args.out, methods, targets)))


if __name__ == "__main__":
    main()
