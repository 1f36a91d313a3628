"""Trivial baselines: a copy of the source, its first sentence, the English reference."""

from collections.abc import Sequence

from laft_fairseq.reporting import names
from laft_fairseq.reporting.comparisons import Comparisons
from laft_fairseq.reporting.page.entries import Entry


def trivial_baseline(
    comparisons: Comparisons, task: str, lang: str, name: str
) -> dict[str, float] | None:
    """Return a trivial baseline's ROUGE-L as f, low and high; None where no cell records it."""
    for system in comparisons.systems:
        if (system.row.task, system.row.lang) == (task, lang):
            for cell in system.cells:
                scores = (cell.data["scores"].get("floors") or {}).get(name) or {}
                if scores.get("rougeL"):
                    return dict(scores["rougeL"])
    return None


def trivial_rows(
    comparisons: Comparisons, task: str, langs: Sequence[str]
) -> list[Sequence[Entry | str] | str]:
    """Return a block of trivial baselines on the same items, and how the references fare."""
    rows: list[Sequence[Entry | str]] = []
    for name, title in names.TRIVIAL_BASELINES.items():
        entries: list[Entry | str] = []
        for lang in langs:
            score = trivial_baseline(comparisons, task, lang, name)
            rouge = names.NONE if score is None else Entry(
                names.number(score["f"]), names.interval((score["low"], score["high"]))
            )  # fmt: skip
            entries += [rouge, names.NONE, names.NONE]
        rows.append([title, names.NONE, *entries])
    references: list[Entry | str] = []
    for lang in langs:
        own = [s for s in comparisons.systems if (s.row.task, s.row.lang) == (task, lang)]
        share = own[0].score("reference_right_language") if own else None
        references += [names.NONE, names.percent(share), names.NONE]
    rows.append(["references themselves", names.NONE, *references])
    there = [row for row in rows if any(entry != names.NONE for entry in row[1:])]
    return ["Trivial baselines: nothing is trained", *there] if there else []
