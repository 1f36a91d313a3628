"""A report as a table to read."""

from collections.abc import Mapping
from typing import Any

from laft_fairseq.scoring.rouge import METRICS

_TITLES = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}
_FLOOR_TITLES = {
    "lead1": "LEAD-1",
    "source_copy": "source copy",
    "oracle": "best source sentence",
    "english_reference": "English reference",
}
_WIDTH = 24


def format_report(report: Mapping[str, Any]) -> str:
    """Lay out a report of `report.score`, with `floors` where it has them; the signature last."""
    rows = [_intervals(_TITLES[metric], report[metric]) for metric in METRICS]
    rows += _details(report)
    if report.get("floors"):
        rows += ["", "floors".ljust(_WIDTH) + "".join(f"{_TITLES[m]:>9}" for m in METRICS)]
        for name, scores in report["floors"].items():
            cells = "".join(f"{scores[metric]['f']:9.2f}" for metric in METRICS)
            low, high = scores["rougeL"]["low"], scores["rougeL"]["high"]
            rows.append(f"{_FLOOR_TITLES[name]:<{_WIDTH}}{cells}  [{low:.2f}, {high:.2f}]")
    return "\n".join([*rows, "", report["signature"]])


def _details(report: Mapping[str, Any]) -> list[str]:
    right_n, novel_n = report["right_language_n"], report["novel_n"]
    return [
        _row("BLEU", _number(report["bleu"])),
        _row("chrF", _number(report["chrf"])),
        _row(
            "right language %",
            _number(report["right_language"]),
            f"references {_number(report['reference_right_language'])}, undecidable "
            f"{_number(report['undecidable'])} (references "
            f"{_number(report['reference_undecidable'])})",
        ),
        _row(
            "ROUGE-L of those right", _number(report["rougeL_right_language"]), f"{right_n} items"
        ),
        _row(
            "copied from source %",
            _number(report["copied"]),
            f"references {_number(report['reference_copied'])}",
        ),
        _row(
            "novel-token ROUGE-L",
            _number(report["novel_rougeL"]),
            "" if novel_n is None else f"{novel_n} items",
        ),
        _row("length ratio", _number(report["length_ratio"])),
        _row("empty outputs", str(report["empty"])),
        _row("n", str(report["n"])),
    ]


def _intervals(title: str, interval: Mapping[str, float]) -> str:
    return _row(title, _number(interval["f"]), f"[{interval['low']:.2f}, {interval['high']:.2f}]")


def _row(title: str, value: str, note: str = "") -> str:
    return f"{title:<{_WIDTH}}{value:>9}  {note}".rstrip()


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
