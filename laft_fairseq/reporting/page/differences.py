"""Tables of paired differences: LAFT minus others, and other settings minus zero-shot."""

from collections.abc import Mapping, Sequence

from laft_fairseq.reporting import names
from laft_fairseq.reporting.comparisons import Comparison
from laft_fairseq.reporting.page.entries import Entry, Table

_SPREADS = {"borrowed": "spread borrowed", "unknown": "spread unknown"}
_COLUMNS = ("Seeds", "Language", "Means", "Difference", "Holm-corrected interval", "p, Holm",
            "Simultaneous interval", "p", "Detectable")  # fmt: skip


def difference_table(
    caption: str, first: str, families: Mapping[str, Sequence[Comparison]]
) -> Table:
    """Return a table with a block for each of `families`, by its title."""
    rows: list[Sequence[Entry | str] | str] = []
    for title, family in families.items():
        rows += [title, *([c.row.title, *_difference(c)] for c in family)]
    return Table(caption, [first, *_COLUMNS], rows)


def count(family: Sequence[Comparison]) -> str:
    """Return how many differences are above 0, and of those with three seeds how many surely."""
    differences = [c.difference for c in family if c.difference]
    higher = sum(difference.value > 0 for difference in differences)
    deciding = sum(difference.decides for difference in differences)
    parts = [f"higher in {higher} of {len(family)}"]
    if deciding:
        above, below = sum(c.is_above for c in family), sum(c.is_below for c in family)
        parts.append(f"corrected interval above 0 in {above}, below 0 in {below}")
    if deciding < len(family):
        parts.append(f"{len(family) - deciding} on fewer than three seeds, too few to conclude")
    return "; ".join(parts)


def _difference(comparison: Comparison) -> list[Entry | str]:
    lang, one, other = names.language(comparison.row.lang), comparison.one, comparison.other
    difference = comparison.difference
    if not (one and other and difference):
        lacking = "" if one else "nor LAFT"
        absent = Entry(names.NOT_RUN, lacking, muted=True)
        return [names.NONE, lang, names.NONE, absent, *[names.NONE] * 5]
    seeds = " and ".join(map(str, difference.seeds))
    means = f"{names.number(one.mean.value)} and {names.number(other.mean.value)}"
    return [
        Entry(seeds, _SPREADS.get(difference.spread, "")),
        lang,
        means,
        Entry(names.signed(difference.value, 2), strong=comparison.is_above),
        names.interval(comparison.corrected, 2, sign=True),
        names.p_value(comparison.adjusted),
        names.interval(comparison.simultaneous, 2, sign=True),
        names.p_value(difference.p),
        names.number(comparison.detectable, 2),
    ]
