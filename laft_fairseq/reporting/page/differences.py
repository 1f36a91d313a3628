"""The table of paired differences: LAFT minus every other system."""

from collections.abc import Sequence

from laft_fairseq.reporting import names
from laft_fairseq.reporting.comparisons import Comparison
from laft_fairseq.reporting.page.entries import Entry, Table
from laft_fairseq.reporting.statistics import ALPHA

_SPREADS = {"borrowed": "spread borrowed", "unknown": "spread unknown"}
_HEADER = (
    "LAFT minus",
    "Seeds",
    "Language",
    "Difference",
    "Holm-corrected interval",
    "p, Holm",
    "Simultaneous interval",
    "p",
    "Detectable",
)


def difference_table(caption: str, comparisons: Sequence[Comparison]) -> Table:
    """Return LAFT minus each, with a block for each task and setting."""
    rows: list[Sequence[Entry | str] | str] = []
    block = ""
    for comparison in comparisons:
        title = f"{names.TASKS[comparison.row.task]}, {comparison.row.setting}"
        rows += [title] if title != block else []
        block = title
        rows.append([comparison.row.title, *_difference(comparison)])
    return Table(caption, _HEADER, rows)


def _difference(comparison: Comparison) -> list[Entry | str]:
    lang, difference = names.language(comparison.row.lang), comparison.difference
    if difference is None:
        lacking = "" if comparison.laft else "nor LAFT"
        absent = Entry(names.NOT_RUN, lacking, muted=True)
        return [names.NONE, lang, absent, *[names.NONE] * 5]
    seeds = " and ".join(map(str, difference.seeds))
    higher = comparison.is_sure and difference.value > 0
    level = ALPHA / comparison.family
    return [
        Entry(seeds, _SPREADS.get(difference.spread, "")),
        lang,
        Entry(names.signed(difference.value, 2), strong=higher),
        names.interval(comparison.corrected, 2, sign=True),
        names.p_value(comparison.adjusted),
        names.interval(difference.interval(level), 2, sign=True),
        names.p_value(difference.p),
        names.number(difference.detectable(level), 2),
    ]
