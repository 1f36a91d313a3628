"""LAFT against each rival named beforehand, and against each of its own controls.

Three families, each corrected by Holm's procedure over all of its members: the contrasts of
`experiment.json`; the two controls that the verdict asks; and the other controls, which explore.
All are fixed before a run: what was not run, or on fewer than three seeds, counts as p = 1, so that
leaving it out never makes the others' tests easier. What a family of its own makes of other
differences is in `explored.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from laft_fairseq.tables import names
from laft_fairseq.tables.results import Cell, Results, Row
from laft_fairseq.tables.statistics import (
    ALPHA,
    Estimate,
    Scores,
    Spread,
    corrected,
    estimate,
    pooled,
)

JUDGED = ("random-subspace", "no-removal")  # the controls that the verdict asks
COLLAPSED = 1.0  # ROUGE-L, below which a system writes nothing that could vary
Key = tuple[str, str, str, str, str]  # task, setting, lang, method, variant


@dataclass(frozen=True)
class System:
    """A row over all of its seeds."""

    row: Row
    cells: list[Cell]
    mean: Estimate

    @property
    def matrix(self) -> Scores:
        """ROUGE-L by seed and item, (S, n)."""
        return np.stack([cell.rouge_l for cell in self.cells])

    def score(self, key: str) -> float | None:
        """The mean over seeds of one of the scores; None where a seed lacks it."""
        values = [cell.scores.get(key) for cell in self.cells]
        if any(not isinstance(value, int | float) for value in values):
            return None
        return float(np.mean([value for value in values if value is not None]))


@dataclass(frozen=True)
class Comparison:
    """LAFT minus a rival. `difference` is None where one of the two was not run.

    Attributes:
        task, setting, lang: of both.
        method, variant: of the rival; `title` is its name.
        laft, rival: the two systems.
        difference: in ROUGE-L.
        p, adjusted: two-sided, and adjusted by Holm's procedure over the family.
        level: at which Holm's procedure judged it; Bonferroni's, where it decides nothing.
        family: number of comparisons in the family.
    """

    task: str
    setting: str
    lang: str
    method: str
    variant: str
    laft: System | None
    rival: System | None
    difference: Estimate | None
    adjusted: float
    level: float
    family: int

    @property
    def title(self) -> str:
        """The rival's name."""
        return names.system(self.method, self.variant)

    @property
    def matched(self) -> float | None:
        """The difference on the seeds that both have, where one side has more."""
        if not (self.laft and self.rival):
            return None
        sides = [{cell.seed: cell for cell in one.cells} for one in (self.laft, self.rival)]
        shared = sides[0].keys() & sides[1].keys()
        if not shared or sides[0].keys() == sides[1].keys():
            return None
        own, other = ([side[seed].rouge_l.mean() for seed in shared] for side in sides)
        return float(np.mean(own) - np.mean(other))

    @property
    def corrected(self) -> tuple[float, float]:
        """The interval at its level: where it decides, 0 is left out exactly where Holm rejects."""
        assert self.difference is not None
        return self.difference.interval(self.level)

    @property
    def simultaneous(self) -> tuple[float, float]:
        """The interval at ALPHA / family (Bonferroni): all of the family's hold at once."""
        assert self.difference is not None
        return self.difference.interval(ALPHA / self.family)

    @property
    def detectable(self) -> float:
        """The smallest true difference that 80 % of such tests find, at ALPHA / family."""
        assert self.difference is not None
        return self.difference.detectable(ALPHA / self.family)


class Comparisons:
    """Systems by row, and the families."""

    def __init__(self, results: Results) -> None:
        self.results = results
        rows = {row: [cell.rouge_l for cell in results.seeds_of(row)]
                for row in sorted({cell.row for cell in results.cells})}  # fmt: skip
        self._scores = {row: np.stack(scores) for row, scores in rows.items()}
        self._systems = {
            row: System(row, results.seeds_of(row), estimate(scores, lent=[self._lent(row)]))
            for row, scores in self._scores.items()
        }
        named = [(str(c.get("task", "headlines")), c["setting"], c["lang"], c["method"],
                  c["variant"]) for c in results.experiment.get("contrasts", [])]  # fmt: skip
        self.contrasts = self.family(list(dict.fromkeys(named)))
        judged, explored = self._control_keys()
        self.controls = self.family(judged) + self.family(explored)

    @property
    def systems(self) -> list[System]:
        """All of them, in the order of their rows."""
        return list(self._systems.values())

    def find(self, task: str, setting: str, lang: str, method: str, variant: str = "main",
             selections: Sequence[str] = ("source", "fixed")) -> System | None:  # fmt: skip
        """The system, by the first of `selections` that there is."""
        for selection in selections:
            found = self._systems.get(Row(task, setting, method, variant, lang, selection))
            if found:
                return found
        return None

    def doubles(self, system: System) -> bool:
        """Whether a target-chosen system's runs are its source-chosen ones: the same rate won."""
        if system.row.selection != "target":
            return False
        row = system.row
        other = self.find(row.task, row.setting, row.lang, row.method, row.variant)
        runs = {cell.seed: cell for cell in other.cells} if other else {}
        return all(
            cell.seed in runs
            and np.array_equal(cell.rouge_l, runs[cell.seed].rouge_l)
            and cell.data.get("learning_rate") == runs[cell.seed].data.get("learning_rate")
            for cell in system.cells
        )

    def control(self, lang: str, variant: str) -> Comparison | None:
        """LAFT against one of its controls."""
        own = (c for c in self.controls if c.lang == lang and c.variant == variant)
        return next(own, None)

    def difference(self, one: System, other: System) -> Estimate:
        """The first minus the second; a side of one seed is lent the spread of its method."""
        rows = (one.row, other.row)
        methods = {row.method for row in rows if len(self._scores[row]) == 1}
        own = all(self._lenders(one.row, method) for method in methods)  # else all lend to both
        lent = [
            self._lent(row, another, own) for row, another in zip(rows, rows[::-1], strict=True)
        ]
        return estimate(one.matrix, other.matrix, lent)

    def _lenders(self, row: Row, method: str = "") -> list[Row]:
        """The systems of a row's task and language, or a method's of these, that lend a spread.

        They have several seeds, and have not collapsed: at the floor nothing can vary. Rates that
        target-language data chose do not take part.
        """
        return [each for each, scores in self._scores.items()
                if (each.task, each.lang) == (row.task, row.lang) and each.selection != "target"
                and method in ("", each.method) and len(scores) > 1
                and scores.mean() >= COLLAPSED]  # fmt: skip

    def _lent(self, row: Row, other: Row | None = None, own: bool = True) -> Spread | None:
        """The spread between the seeds of the row's method, or of all where it has none to lend.

        Args:
            row: whose task, language and method count.
            other: the row that it is compared with.
            own: False: of all methods.
        """
        lenders = (self._lenders(row, row.method) if own else []) or self._lenders(row)
        return pooled([self._scores[each] for each in lenders], holds_other=other in lenders)

    def family(self, keys: Sequence[Key]) -> list[Comparison]:
        """LAFT minus each, corrected by Holm's procedure over all of them."""
        pairs = []
        for task, setting, lang, method, variant in keys:
            laft = self.find(task, setting, lang, "laft")
            rival = self.find(task, setting, lang, method, variant)
            both = self.difference(laft, rival) if laft and rival else None
            pairs.append((laft, rival, both))
        adjusted, levels = corrected([both for *_, both in pairs])
        return [
            Comparison(*key, *pair, adjusted[i], levels[i], len(keys))
            for i, (key, pair) in enumerate(zip(keys, pairs, strict=True))
        ]

    def _control_keys(self) -> tuple[list[Key], list[Key]]:
        """Of the verdict's controls and of the others, in every target language, run or not."""
        langs = self.results.experiment.get("targets", ["fr_XX", "zh_CN"])
        run = [row.variant for row in self._systems if row.method == "laft"
               and (row.task, row.setting) == ("headlines", "zero-shot")]  # fmt: skip
        known = dict.fromkeys([*names.VARIANTS, *run])
        others = [v for v in known if v not in ("main", "stage1", *JUDGED)]
        judged, explored = (
            [("headlines", "zero-shot", lang, "laft", variant)
             for variant in variants for lang in langs]
            for variants in (JUDGED, others)
        )  # fmt: skip
        return judged, explored
