"""Print the scores of examples/xgiga or examples/xqg as a Markdown table."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

HEADER = (
    "| | language | rate | ROUGE-1 | ROUGE-2 | ROUGE-L (95 %) | ROUGE-L, unicode "
    "| right language | copied | length ratio |",
    "|---|---|---|---|---|---|---|---|---|---|",
)
FLOORS = {"lead1": "LEAD-1: the source's first sentence", "source_copy": "the source itself"}


def read(path: Path) -> dict[str, Any]:
    """A score's JSON; a clear line if it is missing."""
    if not path.is_file():
        sys.exit(f"{path}: no such result; run the recipe to its end")
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def percent(value: float | None) -> str:
    """A share, or a dash where it cannot be said."""
    return "-" if value is None else f"{value:.1f} %"


def rouge(score: dict[str, Any], unicode: dict[str, Any]) -> str:
    """The four ROUGE cells."""
    f, low, high = (score["rougeL"][key] for key in ("f", "low", "high"))
    return (
        f"{score['rouge1']['f']:.2f} | {score['rouge2']['f']:.2f} "
        f"| {f:.2f} ({low:.1f} to {high:.1f}) | {unicode['rougeL']['f']:.2f}"
    )


def table(out: Path, rows: list[str], langs: list[str]) -> list[str]:
    """The lines of the table: for each language the rows, then the floors."""
    lines = list(HEADER)
    for lang in langs:
        for row in rows:
            score, unicode = (read(out / row / f"{n}.{lang}.json") for n in ("score", "unicode"))
            rate = (out / row / "stage2").resolve().name.removeprefix("rate-")
            lines.append(
                f"| **{row}** | {lang} | {rate} | {rouge(score, unicode)} "
                f"| {percent(score['right_language'])} | {percent(score['copied'])} "
                f"| {score['length_ratio'] or 0:.2f} |"
            )
        for key, name in FLOORS.items():
            floor, other = score["floors"].get(key), unicode["floors"].get(key)
            if floor is not None:
                lines.append(f"| {name} | {lang} | | {rouge(floor, other)} | | | |")
    return lines


def main() -> None:
    """Print the table for the folder of a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", required=True, help="names of the rows, parted by spaces")
    parser.add_argument("--langs", required=True, help="languages, parted by spaces")
    args = parser.parse_args()
    rows, langs = args.rows.split(), args.langs.split()
    first = read(args.out / rows[0] / f"score.{langs[0]}.json")
    print(f"\n{first['n']:,} test items in {langs[0]}; protocol xnlg, {first['signature']}\n")
    print("\n".join(table(args.out, rows, langs)))
    if any(row.endswith(".translated") for row in rows):
        print("\n`.translated`: trained on translated pairs too (translate-train).")


if __name__ == "__main__":
    main()
