"""Paired differences between systems, each family of them corrected by Holm's procedure.

LAFT is compared with the baselines named before the run (`contrasts` of the experiment's record),
with all other systems, and with its ablations.
A family that was fixed before the run keeps its members: what was not run, or on fewer than three
seeds, counts as p = 1, so that leaving it out never makes the others' tests easier.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from laft_fairseq.reporting import names
from laft_fairseq.reporting.results import Cell, Results, Row
from laft_fairseq.reporting.schemas import is_number
from laft_fairseq.reporting.statistics import Estimate, Scores, Spread, corrected, estimate, pooled

MAIN_ABLATIONS = ("random-subspace", "no-removal")  # do the components, does removal, matter?
SYSTEM_VARIANTS = ("main", "stage1")  # LAFT's other variants are its ablations
COLLAPSED = 1.0  # ROUGE-L, below which a system writes nothing that could vary
_LAFT = ("headlines", "zero-shot", "laft")  # the task, setting and method of the ablations


@dataclass(frozen=True, eq=False)
class System:
    """A row over all of its seeds."""

    row: Row
    cells: list[Cell]
    rouge_l: Scores  # (S, n), by seed and item
    mean: Estimate

    def score(self, key: str) -> float | None:
        """Return the mean over seeds of one of the scores; None where a seed lacks it."""
        values = [cell.data["scores"].get(key) for cell in self.cells]
        return float(np.mean(values)) if all(map(is_number, values)) else None


@dataclass(frozen=True)
class Comparison:
    """LAFT minus another system, in ROUGE-L, as a member of a family."""

    row: Row  # of the other system
    difference: Estimate | None  # None where either was not run
    matched: float | None  # on the seeds that both have, where one side has more
    adjusted: float  # p, two-sided, adjusted by Holm's procedure over the family
    level: float  # at which Holm's procedure judged it; Bonferroni's, where it decides nothing
    family: int  # number of comparisons in it

    @property
    def corrected(self) -> tuple[float, float]:
        """The interval at its level: where it decides, 0 is left out exactly where Holm rejects."""
        assert self.difference is not None
        return self.difference.interval(self.level)

    @property
    def is_sure(self) -> bool:
        """Whether the corrected interval leaves 0 out, with three seeds or more on both sides."""
        if self.difference is None or not self.difference.decides:
            return False
        low, high = self.corrected
        return not low <= 0 <= high


def page_order(row: Row) -> tuple[int | str, ...]:
    """Return where a row stands among others on the page."""
    known = [*names.TASKS, *names.SETTINGS, *names.METHODS, *SYSTEM_VARIANTS, *names.ABLATIONS]
    places = {name: place for place, name in enumerate(known)}
    task, setting, method = (places[name] for name in (row.task, row.setting, row.method))
    variant = places.get(row.variant, len(known))
    return task, row.lang, setting, method, variant, row.variant, row.selection


def _on_shared_seeds(one: System, other: System) -> float | None:
    """Return the difference on the seeds that both have; None where they have the same, or none."""
    sides = [{cell.seed: cell for cell in system.cells} for system in (one, other)]
    shared = sides[0].keys() & sides[1].keys()
    if not shared or sides[0].keys() == sides[1].keys():
        return None
    means = [np.mean([side[seed].rouge_l.mean() for seed in shared]) for side in sides]
    return float(means[0] - means[1])


class Comparisons:
    """The systems of a run, and their comparisons."""

    def __init__(self, results: Results) -> None:
        self.results = results
        rows: dict[Row, list[Cell]] = {}
        for cell in sorted(results.cells, key=lambda cell: (page_order(cell.row), cell.seed)):
            rows.setdefault(cell.row, []).append(cell)
        self._scores = {
            row: np.stack([cell.rouge_l for cell in cells]) for row, cells in rows.items()
        }
        self._systems = {
            row: System(row, rows[row], scores, estimate(scores, lent=[self._lent(row)]))
            for row, scores in self._scores.items()
        }
        named = [
            Row(c.get("task") or "headlines", c["setting"], c["method"], c["variant"], c["lang"])
            for c in results.experiment.get("contrasts") or []
        ]
        self.contrasts = self._laft_minus(dict.fromkeys(named))
        run = [row.variant for row in rows if (row.task, row.setting, row.method) == _LAFT]
        known = dict.fromkeys([*names.ABLATIONS, *run])
        others = [v for v in known if v not in (*SYSTEM_VARIANTS, *MAIN_ABLATIONS)]
        self.ablations = {
            (comparison.row.variant, comparison.row.lang): comparison
            for variants in (MAIN_ABLATIONS, others)
            for comparison in self._laft_minus(
                [Row(*_LAFT, variant, lang) for variant in variants for lang in results.targets]
            )
        }

    @property
    def systems(self) -> list[System]:
        """All of them, in the order of the page."""
        return list(self._systems.values())

    def find(self, row: Row) -> System | None:
        """Return the row's system; without the target's data its learning rate may be fixed."""
        fixed = replace(row, selection="fixed") if row.selection == "source" else row
        return self._systems.get(row) or self._systems.get(fixed)

    def doubles(self, system: System) -> bool:
        """Whether a target-chosen system's runs are its source-chosen ones: the same rate won."""
        if system.row.selection != "target":
            return False
        other = self.find(replace(system.row, selection="source"))
        runs = {cell.seed: cell for cell in other.cells} if other else {}
        return all(
            cell.seed in runs
            and np.array_equal(cell.rouge_l, runs[cell.seed].rouge_l)
            and cell.data.get("learning_rate") == runs[cell.seed].data.get("learning_rate")
            for cell in system.cells
        )

    def difference(self, one: System, other: System) -> Estimate:
        """Return the first minus the second; a side of one seed is lent its method's spread."""
        rows = (one.row, other.row)
        methods = {row.method for row in rows if len(self._scores[row]) == 1}
        # else all lend to both
        of_method = all(self._lenders(one.row, method) for method in methods)
        lent = [
            self._lent(row, another, of_method)
            for row, another in zip(rows, rows[::-1], strict=True)
        ]
        return estimate(one.rouge_l, other.rouge_l, lent)

    def exploratory(self) -> list[Comparison]:
        """Return LAFT minus each system that is no contrast; a family is a task and setting."""
        named = {comparison.row for comparison in self.contrasts}
        families: dict[tuple[str, str], dict[Row, None]] = {}
        for system in self.systems:
            row = replace(system.row, selection="source")
            laft = self.find(replace(row, method="laft", variant="main"))
            of_laft = row.method == "laft" or row.variant not in SYSTEM_VARIANTS or laft is None
            if not (of_laft or row in named or system.row.selection == "target"):
                families.setdefault((row.task, row.setting), {})[row] = None
        return [each for rows in families.values() for each in self._laft_minus(rows)]

    def _laft_minus(self, rows: Iterable[Row]) -> list[Comparison]:
        """Return LAFT minus each of the rows, corrected over all of them."""
        rows = list(rows)
        differences, matched = [], []
        for row in rows:
            laft, other = self.find(replace(row, method="laft", variant="main")), self.find(row)
            differences.append(self.difference(laft, other) if laft and other else None)
            matched.append(_on_shared_seeds(laft, other) if laft and other else None)
        family = zip(rows, differences, matched, *corrected(differences), strict=True)
        return [Comparison(*members, family=len(rows)) for members in family]

    def _lenders(self, row: Row, method: str = "") -> list[Row]:
        """Return the systems of a row's task and language, or a method's, that lend a spread.

        They have several seeds, and have not collapsed: at 0 nothing can vary. Rates that
        target-language data chose do not take part.
        """
        return [
            each
            for each, scores in self._scores.items()
            if (each.task, each.lang) == (row.task, row.lang)
            and each.selection != "target"
            and method in ("", each.method)
            and len(scores) > 1
            and scores.mean() >= COLLAPSED
        ]

    def _lent(self, row: Row, other: Row | None = None, of_method: bool = True) -> Spread | None:
        """Return the spread between the seeds of a row's method, or of all if it lends none.

        `other` is the row that it is compared with; not `of_method`: of all methods.
        """
        lenders = (self._lenders(row, row.method) if of_method else []) or self._lenders(row)
        return pooled([self._scores[each] for each in lenders], holds_other=other in lenders)
