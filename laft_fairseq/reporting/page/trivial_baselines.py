"""Rows for what costs nothing: the source's first sentence, a copy, the English reference."""

from collections.abc import Sequence

from laft_fairseq.tables import names
from laft_fairseq.tables.comparisons import Comparisons
from laft_fairseq.tables.document import Entry


def floor_rows(comparisons: Comparisons, task: str,
               langs: Sequence[str]) -> list[Sequence[Entry] | str]:  # fmt: skip
    """What costs nothing, on the same items, and how the references fare."""
    found: list[Sequence[Entry] | str] = []
    for name, title in names.FLOORS.items():
        entries = [Entry(title), Entry(names.NONE)]
        for lang in langs:
            score = floor(comparisons, task, lang, name)
            shown = names.number(score["f"]) if score else names.NONE
            ends = names.interval((score["low"], score["high"])) if score else ""
            entries += [Entry(shown, ends), Entry(names.NONE), Entry(names.NONE)]
        if any(entry.text != names.NONE for entry in entries[1:]):
            found.append(entries)
    references = [Entry("references themselves"), Entry(names.NONE)]
    for lang in langs:
        own = [s for s in comparisons.systems if s.row.task == task and s.row.lang == lang]
        share = own[0].score("reference_right_language") if own else None
        references += [Entry(names.NONE), Entry(names.percent(share)), Entry(names.NONE)]
    if any(entry.text != names.NONE for entry in references[1:]):
        found.append(references)
    return ["Floors and ceilings: nothing is trained", *found] if found else []


def floor(comparisons: Comparisons, task: str, lang: str, name: str) -> dict[str, float] | None:
    """ROUGE-L of a floor: f, low, high."""
    for system in comparisons.systems:
        if system.row.task == task and system.row.lang == lang:
            for cell in system.cells:
                scores = (cell.scores.get("floors") or {}).get(name) or {}
                if scores.get("rougeL"):
                    return dict(scores["rougeL"])
    return None
