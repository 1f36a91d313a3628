"""Tables of differences: to LAFT, named beforehand and explored; of other settings to zero-shot."""

from collections.abc import Sequence

from laft_fairseq.tables import names
from laft_fairseq.tables.comparisons import Comparison, Comparisons
from laft_fairseq.tables.document import Details, Entry, Node, Table, Text
from laft_fairseq.tables.explored import Gain, gains, others
from laft_fairseq.tables.statistics import Estimate

_HEADER = ("LAFT minus", "Seeds", "Language", "Difference", "Holm-corrected interval", "p, Holm",
           "Simultaneous interval", "p", "Detectable")  # fmt: skip
_SPREADS = {"borrowed": "spread borrowed", "unknown": "spread unknown"}


def difference_table(comparisons: Comparisons) -> list[Node]:
    """Paired differences of LAFT to the rivals named beforehand."""
    if not comparisons.contrasts:
        return [Text("No contrast was named beforehand: there is no experiment.json, or it names "
                     "none. So nothing is tested.")]  # fmt: skip
    m = len(comparisons.contrasts)
    caption = f"LAFT minus each rival, ROUGE-L; {m} contrasts, named beforehand"
    return [
        Table(caption, _HEADER, _blocks(comparisons.contrasts)),
        Text("Holm-corrected: at the level at which Holm's step-down procedure judges the "
             "contrast; with three seeds or more on both sides it leaves 0 out exactly where the "
             "procedure rejects, with fewer it is Bonferroni's. Simultaneous: "
             f"Bonferroni over the {m} contrasts. Detectable: the smallest true difference that "
             f"such a test finds in 80 % of cases at level 0.05 / {m}. Bold: above 0, with three "
             "seeds or more on both sides. "
             "Spread borrowed: a side has one seed, and is taken to vary as its method's systems "
             "that have several (where none has, as all methods'); spread unknown: there is none."),
        *_explored(comparisons),
    ]  # fmt: skip


def _blocks(family: Sequence[Comparison]) -> list[Sequence[Entry] | str]:
    rows: list[Sequence[Entry] | str] = []
    last = ("", "")
    for one in family:
        if (one.task, one.setting) != last:
            last = one.task, one.setting
            rows.append(f"{names.TASKS[one.task]}, {one.setting}")
        rows.append([Entry(one.title), *_difference(one)])
    return rows


def _difference(one: Comparison) -> list[Entry]:
    lang = Entry(names.language(one.lang))
    if one.difference is None:
        lacking = "" if one.laft else "nor LAFT"
        return [Entry(names.NONE), lang, Entry(names.NOT_RUN, lacking, muted=True),
                *[Entry(names.NONE)] * 5]  # fmt: skip
    return [
        seeds(one.difference),
        lang,
        _bold(one.difference, one.corrected),
        Entry(names.interval(one.corrected, 2, sign=True)),
        Entry(names.p_value(one.adjusted)),
        Entry(names.interval(one.simultaneous, 2, sign=True)),
        Entry(names.p_value(one.difference.p)),
        Entry(names.number(one.detectable, 2)),
    ]


def seeds(difference: Estimate) -> Entry:
    """`3 and 1`, and what is said of a spread that was not measured."""
    shown = " and ".join(map(str, difference.seeds))
    return Entry(shown, _SPREADS.get(difference.spread, ""))


def _bold(difference: Estimate, corrected: tuple[float, float]) -> Entry:
    sure = difference.decides and corrected[0] > 0
    return Entry(names.signed(difference.value, 2), strong=sure)


def _explored(comparisons: Comparisons) -> list[Node]:
    found = others(comparisons)
    if not found:
        return []
    rows = [row for family in found.values() for row in _blocks(family)]
    caption = "LAFT minus the other systems, not named beforehand"
    return [Details(caption, [
        Text("These explore: Holm's procedure runs over what was run of a task and setting, and "
             "the verdict does not read them."),
        Table(caption, _HEADER, rows)])]  # fmt: skip


def gain_table(comparisons: Comparisons) -> list[Node]:
    """What translated, human or few target pairs, or translating at test time, make of a system."""
    found = gains(comparisons)
    if not found:
        return [Text("No system was run both zero-shot and in another setting yet.")]
    header = ("System", "Seeds", "Language", "Zero-shot", "There", "Difference",
              "Holm-corrected interval", "p, Holm")  # fmt: skip
    rows: list[Sequence[Entry] | str] = []
    setting = ""
    for one in found:
        if one.setting != setting:
            setting = one.setting
            rows.append(
                names.SETTINGS[setting] + _count([g for g in found if g.setting == setting])
            )
        rows.append([
            Entry(one.more.row.title), seeds(one.difference),
            Entry(names.language(one.more.row.lang)),
            Entry(names.number(one.less.mean.value)), Entry(names.number(one.more.mean.value)),
            _bold(one.difference, one.corrected),
            Entry(names.interval(one.corrected, 2, sign=True)),
            Entry(names.p_value(one.adjusted)),
        ])  # fmt: skip
    caption = "Other settings minus zero-shot, ROUGE-L of the same system"
    return [Table(caption, header, rows),
            Text("Not named beforehand: Holm's procedure runs over the systems of a setting that "
                 "were run. The paper says that translate-train helps every system.")]  # fmt: skip


def _count(own: Sequence[Gain]) -> str:
    """` – higher in 5 of 6, …`: how many gained, and of how many with three seeds that is sure."""
    higher = sum(gain.difference.value > 0 for gain in own)
    decided = [gain for gain in own if gain.difference.decides]
    said = f" – higher in {higher} of {len(own)}"
    if decided:
        sure = sum(gain.corrected[0] > 0 for gain in decided)
        lower = sum(gain.corrected[1] < 0 for gain in decided)
        said += f"; corrected interval above 0 in {sure}, below 0 in {lower}"
    if len(decided) < len(own):
        said += f"; {len(own) - len(decided)} on fewer than three seeds, which decide nothing"
    return said
