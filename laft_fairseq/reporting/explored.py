"""Differences that nobody named beforehand: they explore, and the verdict does not read them."""

from collections.abc import Sequence
from dataclasses import dataclass

from laft_fairseq.tables import names
from laft_fairseq.tables.comparisons import Comparison, Comparisons, Key, System
from laft_fairseq.tables.statistics import Estimate, corrected

ROWS = ("main", "stage1")  # variants that are rivals; LAFT's others are its controls


@dataclass(frozen=True)
class Gain:
    """One system in another setting, minus the same system zero-shot.

    Attributes:
        setting: of `more`; a key of `names.SETTINGS`.
        more, less: the two systems.
        difference: in ROUGE-L.
        adjusted: p by Holm's procedure over all systems of the setting.
        level: the level at which the procedure judged it.
    """

    setting: str
    more: System
    less: System
    difference: Estimate
    adjusted: float
    level: float

    @property
    def corrected(self) -> tuple[float, float]:
        """The interval at Holm's level."""
        return self.difference.interval(self.level)


def gains(comparisons: Comparisons) -> list[Gain]:
    """What each setting makes of its systems, a family a setting, over what was run."""
    found: list[Gain] = []
    for setting in names.SETTINGS:
        if setting in ("zero-shot", "supervised"):  # those share no training data
            continue
        pairs = []
        for more in comparisons.systems:
            row = more.row
            if row.setting != setting or row.selection == "target":
                continue
            less = comparisons.find(row.task, "zero-shot", row.lang, row.method, row.variant)
            if less:
                pairs.append((more, less, comparisons.difference(more, less)))
        adjusted, levels = corrected([difference for *_, difference in pairs])
        found += [Gain(setting, *pair, p, level)
                  for pair, p, level in zip(pairs, adjusted, levels, strict=True)]  # fmt: skip
    return found


def others(comparisons: Comparisons) -> dict[tuple[str, str], list[Comparison]]:
    """By task and setting: LAFT minus every system that is no contrast, over what was run."""
    named = {(c.task, c.setting, c.lang, c.method, c.variant) for c in comparisons.contrasts}
    keys: dict[tuple[str, str], list[Key]] = {}
    for system in _in_order(comparisons.systems):
        row = system.row
        key = (row.task, row.setting, row.lang, row.method, row.variant)
        if row.method == "laft" or row.selection == "target" or row.variant not in ROWS:
            continue
        if key not in named and comparisons.find(row.task, row.setting, row.lang, "laft"):
            keys.setdefault((row.task, row.setting), []).append(key)
    return {block: comparisons.family(list(dict.fromkeys(own))) for block, own in keys.items()}


def _in_order(systems: Sequence[System]) -> list[System]:
    methods, settings = list(names.METHODS), list(names.SETTINGS)
    return sorted(systems, key=lambda s: (
        list(names.TASKS).index(s.row.task), settings.index(s.row.setting),
        methods.index(s.row.method), s.row.variant, s.row.lang))  # fmt: skip
