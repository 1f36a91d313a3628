"""A report of `laft score` as a table to read."""

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from laft_fairseq.scoring.rouge import METRICS

_METRICS = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}
_BASELINES = {
    "lead1": "LEAD-1",
    "source_copy": "source copy",
    "oracle": "best source sentence",
    "english_reference": "English reference",
}


def format_report(report: Mapping[str, Any]) -> str:
    """Lay out a report of `report.score`, with `floors` where it has them; the signature last."""

    def number(name: str) -> str:
        return "-" if report[name] is None else f"{report[name]:.2f}"

    undecidable = f"{number('undecidable')} (references {number('reference_undecidable')})"
    novel = "" if report["novel_n"] is None else f"{report['novel_n']} items"
    shown = {**_METRICS, "rougeLsum": "ROUGE-Lsum"}
    rows = [(shown[m], f"{report[m]['f']:.2f}", _interval(report[m])) for m in shown]
    undecidable += ", by script alone" * (report["right_language_by"] == "script")
    rows += [
        ("BLEU", number("bleu"), ""),
        ("chrF", number("chrf"), ""),
        (
            "right language %",
            number("right_language"),
            f"references {number('reference_right_language')}, undecidable {undecidable}",
        ),
        (
            "ROUGE-L of those right",
            number("rougeL_right_language"),
            f"{report['right_language_n']} items",
        ),
        ("known words %", number("known_words"), f"references {number('reference_known_words')}"),
        ("copied from source %", number("copied"), f"references {number('reference_copied')}"),
        ("novel-token ROUGE-L", number("novel_rougeL"), novel),
        ("length ratio", number("length_ratio"), ""),
        ("empty outputs", str(report["empty"]), ""),
        ("n", str(report["n"]), ""),
    ]
    parts = [_table(rows)]
    if baselines := report.get("floors"):
        header = ("trivial baselines", *_METRICS.values(), "", "outputs minus baseline, ROUGE-L")
        rows_of_baselines = [
            (
                _BASELINES[name],
                *(f"{scores[metric]['f']:.2f}" for metric in METRICS),
                _interval(scores["rougeL"]),
                f"{scores['difference']['f']:+.2f} {_interval(scores['difference'])}",
            )
            for name, scores in baselines.items()
        ]
        parts.append(_table([header, *rows_of_baselines]))
    return "\n\n".join([*parts, report["signature"]])


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    """Align numbers to the right, the first column and what follows the numbers to the left."""
    numbers = 1 if len(rows[0]) == 3 else len(_METRICS)
    alignment = ("left", *["right"] * numbers, *["left"] * (len(rows[0]) - numbers - 1))
    return tabulate(rows, tablefmt="plain", colalign=alignment, disable_numparse=True)


def _interval(score: Mapping[str, float]) -> str:
    return f"[{score['low']:.2f}, {score['high']:.2f}]"
