"""What else the verdict asks of a language: equal chances, the right language, the mechanism."""

from dataclasses import dataclass, field

from laft_fairseq.tables import names
from laft_fairseq.tables.comparisons import Comparison, Comparisons, System
from laft_fairseq.tables.results import Results


@dataclass
class Finding:
    """What one language says: `confirms` and `refutes`, and why, in sentences.

    `planned`: systems that lack seeds, how many they have and how many were planned.
    """

    lang: str
    best: Comparison | None = None
    confirms: bool = True
    refutes: bool = False
    gains: bool = False
    stays: bool = False
    reasons: list[str] = field(default_factory=list)
    planned: list[tuple[str, int, int]] = field(default_factory=list)

    def lacks(self, reason: str) -> None:
        """This keeps the language from confirming."""
        self.confirms = False
        self.reasons.append(reason)


def seeds(count: int) -> str:
    """`one seed`, `3 seeds`."""
    return "one seed" if count == 1 else f"{count} seeds"


def judge_fairness(finding: Finding, rivals: list[Comparison]) -> None:
    """All rivals run, as well tuned, trained as long, and scored alike."""
    missing = [c.title for c in rivals if not c.difference]
    if missing:
        finding.lacks(f"Named beforehand and not run: {names.join(missing)}.")
    if not any(c.variant == "stage1" and c.difference for c in rivals):
        finding.lacks("No rival had stage 1 on the same text: none is equally trained.")
    for c in rivals:
        if not (c.laft and c.rival):
            continue
        if _grids(c.laft) != _grids(c.rival) or c.laft.row.selection != c.rival.row.selection:
            finding.lacks(f"LAFT and {c.title} were not tuned equally (see their grids).")
        stages = ("stage1", "stage2") if c.variant == "stage1" else ("stage2",)
        longer = [s for s in stages if _updates(c.laft, s) != _updates(c.rival, s)]
        if longer:
            finding.lacks(f"LAFT and {c.title} were not trained equally long in "
                          f"{names.join(longer).replace('stage', 'stage ')}.")  # fmt: skip
        if _signatures(c.laft) != _signatures(c.rival):
            finding.lacks(f"LAFT and {c.title} were not scored alike (see their signatures).")


def _grids(system: System) -> set[tuple[float, ...]]:
    return {tuple(cell.data.get("grid") or ()) for cell in system.cells}


def _updates(system: System, stage: str) -> set[object]:
    return {(cell.data.get("cost") or {}).get(f"{stage}_updates") for cell in system.cells}


def _signatures(system: System) -> set[object]:
    return {cell.scores.get("signature") for cell in system.cells}


def judge_language(finding: Finding, best: Comparison, slack: float) -> None:
    """The share of outputs in the right language is not lower than the best rival's."""
    assert best.laft and best.rival
    own, other = best.laft.score("right_language"), best.rival.score("right_language")
    if own is None or other is None:
        finding.lacks("The share in the right language was not measured.")
        return
    digits = 2 if own != other and round(own, 1) == round(other, 1) else 1
    said = (f"In the right language: {names.number(own, digits)} %, best rival "
            f"{names.number(other, digits)} %")  # fmt: skip
    by = f" by more than {slack:g} points" if slack else ""
    if own < other - slack:
        finding.lacks(f"{said}: lower{by}.")
    else:
        finding.reasons.append(f"{said}: not lower{by}.")


def judge_mechanism(finding: Finding, comparisons: Comparisons, smallest: float) -> None:
    """The true components beat random ones, and the gain does not stay without removal."""
    random = comparisons.control(finding.lang, "random-subspace")
    if random is None or random.difference is None:
        finding.lacks("Control not run: random subspace.")
    else:
        said = _control(random, "LAFT minus LAFT with a random subspace")
        if not random.difference.decides:
            finding.lacks(f"{said}: not decided on fewer than three seeds.")
        elif random.corrected[0] > 0:
            finding.reasons.append(f"{said}: the true components are better.")
        else:
            finding.lacks(f"{said}: the true components are not shown to be better.")
    without = comparisons.control(finding.lang, "no-removal")
    if without is None or without.difference is None:
        finding.lacks("Control not run: without removal.")
        return
    said = _control(without, "LAFT minus LAFT without removal")
    if not without.difference.decides:
        finding.lacks(f"{said}: not decided on fewer than three seeds.")
    elif without.corrected[0] > 0:
        finding.reasons.append(f"{said}: removal helps.")
    elif without.simultaneous[1] < smallest:
        finding.stays = True
        finding.lacks(f"{said}: as good without removal.")
    else:
        finding.reasons.append(f"{said}: too imprecise to tell whether removal helps.")


def _control(one: Comparison, title: str) -> str:
    assert one.difference
    own, other = one.difference.seeds
    shown = names.interval(one.corrected, 2, sign=True)
    return f"{title}: {names.signed(one.difference.value, 2)} {shown} ({seeds(own)} and {other})"


def mention_others(finding: Finding, comparisons: Comparisons, best: Comparison) -> None:
    """Systems not named beforehand that score above the best rival: said, not judged."""
    assert best.rival
    named = {
        (c.method, c.variant)
        for c in comparisons.contrasts
        if (c.task, c.setting, c.lang) == ("headlines", "zero-shot", finding.lang)
    }
    higher = [
        f"{system.row.title} {names.number(system.mean.value)} ({seeds(len(system.cells))})"
        for system in comparisons.systems
        if system.row.lang == finding.lang
        and (system.row.task, system.row.setting) == ("headlines", "zero-shot")
        and system.row.method != "laft"
        and system.row.selection != "target"
        and (system.row.method, system.row.variant) not in named
        and system.mean.value > best.rival.mean.value
    ]
    if higher:
        finding.reasons.append(
            f"Higher than the best rival, but not named beforehand: {names.join(higher)}."
        )


def smallest_gain(results: Results) -> float:
    """In ROUGE-L points, from `experiment.json`; 1 by default."""
    return float(results.experiment.get("verdict", {}).get("smallest_gain", 1.0))


def tolerance(results: Results) -> float:
    """By how many percentage points the right-language share may be lower; 0 by default."""
    return float(results.experiment.get("verdict", {}).get("right_language_tolerance", 0.0))
