"""LAFT against each rival named beforehand, and against each of its own controls.

Two families, each corrected by Holm's procedure over all of its members: the contrasts of
`experiment.json`, and LAFT's controls. A contrast that was named and not run counts as p = 1, so
that leaving a cell out never makes the others' tests easier.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from laft_fairseq.tables import names
from laft_fairseq.tables.results import Cell, Results, Row
from laft_fairseq.tables.statistics import ALPHA, Estimate, Scores, estimate, holm, holm_levels


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
        setting, lang: of both.
        title: the rival's name.
        laft, rival: the two systems.
        difference: in ROUGE-L.
        p, adjusted: two-sided, and adjusted by Holm's procedure over the family.
        level: the level at which Holm's procedure judged it.
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
    def corrected(self) -> tuple[float, float]:
        """The interval at Holm's level: leaves 0 out exactly where Holm's procedure rejects."""
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
    """Systems by row, and both families."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self._systems: dict[Row, System] = {}
        for row in sorted({cell.row for cell in results.cells}):
            cells = results.seeds_of(row)
            matrix = np.stack([cell.rouge_l for cell in cells])
            self._systems[row] = System(row, cells, estimate(matrix))
        named = [(str(c.get("task", "headlines")), c["setting"], c["lang"], c["method"],
                  c["variant"]) for c in results.experiment.get("contrasts", [])]  # fmt: skip
        self.contrasts = self._family(list(dict.fromkeys(named)))
        self.controls = self._family(self._control_keys())

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

    def control(self, lang: str, variant: str) -> Comparison | None:
        """LAFT against one of its controls."""
        own = (c for c in self.controls if c.lang == lang and c.variant == variant)
        return next(own, None)

    def _control_keys(self) -> list[tuple[str, str, str, str, str]]:
        rows = [row for row in self._systems if row.method == "laft" and row.task == "headlines"
                and row.setting == "zero-shot" and row.variant not in ("main", "stage1")
                and row.selection != "target"]  # fmt: skip
        order = list(names.VARIANTS)
        rows.sort(key=lambda r: (order.index(r.variant) if r.variant in order else len(order), r))
        keys = [(r.task, r.setting, r.lang, r.method, r.variant) for r in rows]
        return list(dict.fromkeys(keys))

    def _family(self, keys: Sequence[tuple[str, str, str, str, str]]) -> list[Comparison]:
        pairs = []
        for task, setting, lang, method, variant in keys:
            laft = self.find(task, setting, lang, "laft")
            rival = self.find(task, setting, lang, method, variant)
            both = estimate(laft.matrix, rival.matrix) if laft and rival else None
            pairs.append((laft, rival, both))
        p_values = [both.p if both else 1.0 for *_, both in pairs]
        adjusted, levels = holm(p_values), holm_levels(p_values)
        return [
            Comparison(*key, *pair, adjusted[i], levels[i], len(keys))
            for i, (key, pair) in enumerate(zip(keys, pairs, strict=True))
        ]
