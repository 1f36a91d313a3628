"""The verdict, by a rule written before the run. It speaks of this backbone and these data only."""

from dataclasses import dataclass, field

from laft_fairseq.tables import names
from laft_fairseq.tables.comparisons import Comparison, Comparisons
from laft_fairseq.tables.results import Results

CONFIRMED, REFUTED, INCONCLUSIVE = "confirmed here", "refuted here", "inconclusive"
NOT_RUN, TOO_WEAK, NO_GATE = "not run", "this backbone is too weak to tell", "gate not run"
RULE = (
    "Gain: ROUGE-L of zero-shot LAFT minus that of its best rival among the contrasts named "
    "beforehand, for each language by itself, the learning rate chosen without target-language "
    "data. Smallest gain that counts: {gain:g} ROUGE-L.",
    "Refuted here, if in some language the upper end of the gain's simultaneous interval "
    "(Bonferroni over the contrasts) is under {gain:g}; or if there is a gain in every language "
    "and it stays without removal: in every language the control without removal is as good, that "
    "is, the corrected interval of LAFT minus control does not lie above 0 and its simultaneous "
    "upper end is under {gain:g}.",
    "Confirmed here, if it is not refuted, and in every language the gain is at least {gain:g}, "
    "its corrected interval (Holm over the contrasts) lies above 0, the share of outputs in the "
    "right language is not lower than the best rival's{tolerance}, and LAFT with its own "
    "components beats LAFT with a random subspace (corrected interval, Holm over the controls, "
    "above 0); with every named rival of these languages run, tried with as many learning rates, "
    "one of them with stage 1 on the same text, and the control without removal run.",
    "Else inconclusive. Where one side has a single seed, the other side's spread between seeds is "
    "taken for both; where both have, the spread is unknown, and the comparison neither confirms "
    "nor refutes.",
    "Where a gate failed, the verdict is “this backbone is too weak to tell”; where one was not "
    "run, “gate not run”; what the numbers alone would say stands beneath. Nothing here is said "
    "about mBART-large.",
)


@dataclass
class Finding:
    """What one language says: `confirms` and `refutes`, and why, in sentences."""

    lang: str
    best: Comparison | None = None
    confirms: bool = True
    refutes: bool = False
    gains: bool = False
    stays: bool = False
    reasons: list[str] = field(default_factory=list)

    def lacks(self, reason: str) -> None:
        """This keeps the language from confirming."""
        self.confirms = False
        self.reasons.append(reason)


@dataclass(frozen=True)
class Verdict:
    """`word` is the verdict, `by_numbers` what the numbers say if the gates are left aside."""

    word: str
    by_numbers: str
    findings: list[Finding]
    blocked: list[str]


def rule(results: Results) -> list[str]:
    """The rule in sentences, with this experiment's thresholds."""
    slack = tolerance(results)
    words = f" by more than {slack:g} percentage points" if slack else ""
    return [line.format(gain=smallest_gain(results), tolerance=words) for line in RULE]


def smallest_gain(results: Results) -> float:
    """In ROUGE-L points, from `experiment.json`; 1 by default."""
    return float(results.experiment.get("verdict", {}).get("smallest_gain", 1.0))


def tolerance(results: Results) -> float:
    """By how many percentage points the right-language share may be lower; 0 by default."""
    return float(results.experiment.get("verdict", {}).get("right_language_tolerance", 0.0))


def judge(results: Results, comparisons: Comparisons) -> Verdict:
    """Apply the rule."""
    targets = results.experiment.get("targets", ["fr_XX", "zh_CN"])
    findings = [_finding(results, comparisons, lang) for lang in targets]
    by_numbers = _by_numbers(findings)
    word, blocked = by_numbers, []
    gates = results.gates
    if by_numbers != NOT_RUN:
        failed = [gate for gate in gates or [] if gate["passed"] is False]
        open_ = [gate for gate in gates or [] if gate["passed"] is None]
        blocked = [_hangs(gate, "failed") for gate in failed]
        blocked += [_hangs(gate, "not run") for gate in open_]
        if failed:
            word = TOO_WEAK
        elif open_ or not gates:
            word = NO_GATE
            blocked = blocked or ["There is no gates.json: none of the gates was run."]
    return Verdict(word, by_numbers, findings, blocked)


def _hangs(gate: dict[str, object], state: str) -> str:
    title, hangs = gate.get("title") or gate.get("name", ""), gate.get("hangs")
    return f"Gate {state}: {title}." + (f" What hangs on it: {hangs}" if hangs else "")


def _by_numbers(findings: list[Finding]) -> str:
    if not findings or all(finding.best is None for finding in findings):
        return NOT_RUN
    everywhere = all(finding.gains and finding.stays for finding in findings)
    if everywhere or any(finding.refutes for finding in findings):
        return REFUTED
    return CONFIRMED if all(finding.confirms for finding in findings) else INCONCLUSIVE


def _finding(results: Results, comparisons: Comparisons, lang: str) -> Finding:
    finding, smallest = Finding(lang), smallest_gain(results)
    rivals = [c for c in comparisons.contrasts if c.method != "laft" and c.lang == lang
              and c.setting == "zero-shot" and c.task == "headlines"]  # fmt: skip
    run = [c for c in rivals if c.difference]
    if not run:
        finding.lacks("Not run: LAFT, its rivals, or both; or no contrast was named beforehand.")
        return finding
    best = finding.best = min(run, key=lambda c: c.difference.value if c.difference else 0.0)
    _judge_gain(finding, best, smallest)
    _judge_fairness(finding, rivals)
    _judge_language(finding, best, tolerance(results))
    _judge_mechanism(finding, comparisons, smallest)
    _mention_others(finding, comparisons, best)
    return finding


def _mention_others(finding: Finding, comparisons: Comparisons, best: Comparison) -> None:
    """Systems not named beforehand that score above the best rival: said, not judged."""
    assert best.rival
    named = {
        (c.method, c.variant)
        for c in comparisons.contrasts
        if (c.task, c.setting, c.lang) == ("headlines", "zero-shot", finding.lang)
    }
    higher = [
        f"{system.row.title} {names.number(system.mean.value)}"
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


def _judge_gain(finding: Finding, best: Comparison, smallest: float) -> None:
    assert best.difference and best.laft and best.rival
    gain, (low, high) = best.difference.value, best.corrected
    upper = best.simultaneous[1]
    said = (
        f"LAFT {names.number(best.laft.mean.value)}, best rival {best.title} "
        f"{names.number(best.rival.mean.value)}: gain {names.signed(gain)} ROUGE-L, corrected "
        f"interval {names.interval((low, high), sign=True)}"
    )
    if not best.difference.seeds_known:
        finding.lacks(f"{said}. One seed on both sides: the spread between seeds is unknown.")
        return
    finding.gains = gain >= smallest and low > 0
    if upper < smallest:
        finding.refutes = True
        finding.lacks(f"{said}. Even its simultaneous upper end {names.number(upper, 2)} is under "
                      f"{smallest:g}.")  # fmt: skip
    elif not finding.gains:
        lacking = "less than the smallest that counts" if gain < smallest else "0 is within it"
        finding.lacks(f"{said}: {lacking}.")
    else:
        finding.reasons.append(f"{said}: at least {smallest:g}, and above 0.")


def _judge_fairness(finding: Finding, rivals: list[Comparison]) -> None:
    missing = [c.title for c in rivals if not c.difference]
    if missing:
        finding.lacks(f"Named beforehand and not run: {names.join(missing)}.")
    if not any(c.variant == "stage1" and c.difference for c in rivals):
        finding.lacks("No rival had stage 1 on the same text: none is equally trained.")
    for c in rivals:
        if not (c.laft and c.rival):
            continue
        tried = [sorted({tuple(cell.data.get("grid") or ()) for cell in system.cells})
                 for system in (c.laft, c.rival)]  # fmt: skip
        if tried[0] != tried[1] or c.laft.row.selection != c.rival.row.selection:
            finding.lacks(f"LAFT and {c.title} were not tuned equally (see their grids).")


def _judge_language(finding: Finding, best: Comparison, slack: float) -> None:
    assert best.laft and best.rival
    own, other = best.laft.score("right_language"), best.rival.score("right_language")
    if own is None or other is None:
        finding.lacks("The share in the right language was not measured.")
        return
    said = f"In the right language: {names.percent(own)}, best rival {names.percent(other)}"
    if own < other - slack:
        finding.lacks(f"{said}: lower.")
    else:
        finding.reasons.append(f"{said}: not lower.")


def _judge_mechanism(finding: Finding, comparisons: Comparisons, smallest: float) -> None:
    random = comparisons.control(finding.lang, "random-subspace")
    if random is None or random.difference is None:
        finding.lacks("Control not run: random subspace.")
    else:
        shown = names.interval(random.corrected, sign=True)
        said = f"True components minus random subspace: {names.signed(random.difference.value)}"
        if random.corrected[0] > 0 and random.difference.seeds_known:
            finding.reasons.append(f"{said} {shown}: better.")
        elif not random.difference.seeds_known:
            finding.lacks(f"{said} {shown}: one seed on both sides.")
        else:
            finding.lacks(f"{said} {shown}: not shown to be better.")
    without = comparisons.control(finding.lang, "no-removal")
    if without is None or without.difference is None:
        finding.lacks("Control not run: without removal.")
        return
    shown = names.interval(without.corrected, sign=True)
    said = f"LAFT minus LAFT without removal: {names.signed(without.difference.value)} {shown}"
    if not without.difference.seeds_known:
        finding.reasons.append(f"{said}: one seed on both sides.")
    elif without.corrected[0] > 0:
        finding.reasons.append(f"{said}: removal helps.")
    elif without.simultaneous[1] < smallest:
        finding.stays = True
        finding.reasons.append(f"{said}: as good without removal.")
    else:
        finding.reasons.append(f"{said}: too imprecise to tell whether removal helps.")
