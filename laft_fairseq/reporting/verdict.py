"""The verdict, by a rule written before the run. It speaks of this backbone and these data only."""

from dataclasses import dataclass

from laft_fairseq.tables import names
from laft_fairseq.tables.comparisons import Comparison, Comparisons
from laft_fairseq.tables.conditions import (
    Finding,
    judge_fairness,
    judge_language,
    judge_mechanism,
    mention_others,
    seeds,
    smallest_gain,
    tolerance,
)
from laft_fairseq.tables.floors import floor
from laft_fairseq.tables.planned import lacking
from laft_fairseq.tables.results import Results

CONFIRMED, REFUTED, INCONCLUSIVE = "confirmed here", "refuted here", "inconclusive"
NOT_RUN, TOO_WEAK, NO_GATE = "not run", "this backbone is too weak to tell", "gate not run"
INTERIM = "interim: planned seeds are to come"
RULE = (
    "Gain: ROUGE-L of zero-shot LAFT minus that of its best rival among the contrasts named "
    "beforehand, for each language by itself, the learning rate chosen without target-language "
    "data. Smallest gain that counts: {gain:g} ROUGE-L.",
    "Refuted here, if in some language the upper end of the simultaneous interval (Bonferroni over "
    "the contrasts) of LAFT minus one of its rivals is under {gain:g}; or if there is a gain in "
    "every language and it stays without removal: in every language the control without removal is "
    "as good, that is, the corrected interval of LAFT minus control does not lie above 0 and its "
    "simultaneous upper end is under {gain:g}.",
    "Confirmed here, if it is not refuted, and in every language the gain is at least {gain:g}, "
    "its corrected interval (Holm over the contrasts) lies above 0, the share of outputs in the "
    "right language is not lower than the best rival's{tolerance}, LAFT with its own "
    "components beats LAFT with a random subspace (corrected interval, Holm over these two "
    "controls and the languages, above 0), and LAFT without removal is not shown to be as good; "
    "with every named rival of these languages run, tried with as many learning rates, trained for "
    "as many updates and scored alike, and one of them with stage 1 on the same text.",
    "Else inconclusive. A comparison with fewer than three seeds on a side neither confirms nor "
    "refutes.",
    "What would be confirmed or refuted before all planned seeds of LAFT and of its named rivals "
    "are there is an interim result; what the numbers say so far stands beneath.",
    "Where a gate failed, the verdict is “this backbone is too weak to tell”; where one was not "
    "run, “gate not run”; what the numbers alone would say stands beneath. Nothing here is said "
    "about mBART-large.",
)
AMENDED = (
    "The rule was made stricter after first results: a side of one or two seeds, "
    "which before could decide, no longer does; what is as good without removal in one "
    "language can no longer be confirmed; equal updates and signatures are asked; an interim "
    "result is called so; and one rival that LAFT cannot beat by the smallest gain refutes, even "
    "where another, less certain one scores higher. Later, a comparison with fewer than three "
    "seeds on a side stopped counting in Holm's procedure by its own p; a named rival that was not "
    "run lacks its seeds; and the nearest rivals are those that the run found. None of it changed "
    "a verdict that had been given.",
)


@dataclass(frozen=True)
class Verdict:
    """`word` is the verdict, `by_numbers` what the numbers say if what blocks it is left aside."""

    word: str
    by_numbers: str
    findings: list[Finding]
    blocked: list[str]


def rule(results: Results) -> list[str]:
    """The rule in sentences, with this experiment's thresholds."""
    slack = tolerance(results)
    words = f" by more than {slack:g} percentage points" if slack else ""
    filled = [line.format(gain=smallest_gain(results), tolerance=words) for line in RULE]
    return [*filled, *AMENDED]


def judge(results: Results, comparisons: Comparisons) -> Verdict:
    """Apply the rule."""
    targets = results.experiment.get("targets", ["fr_XX", "zh_CN"])
    findings = [_finding(results, comparisons, lang) for lang in targets]
    by_numbers = _by_numbers(findings)
    if by_numbers == NOT_RUN:
        return Verdict(by_numbers, by_numbers, findings, [])
    gates = results.gates
    failed = [gate for gate in gates or [] if gate["passed"] is False]
    open_ = [gate for gate in gates or [] if gate["passed"] is None]
    blocked = [_hangs(gate, "failed") for gate in failed]
    blocked += [_hangs(gate, "not run") for gate in open_]
    planned = _planned(findings)
    word = by_numbers
    if failed:
        word = TOO_WEAK
    elif open_ or not gates:
        word = NO_GATE
        blocked = blocked or ["There is no gates.json: none of the gates was run."]
    elif planned and by_numbers in (CONFIRMED, REFUTED):
        word = INTERIM
    if planned:
        blocked.append(f"Interim: of the planned seeds there are {names.join(planned)}.")
    return Verdict(word, by_numbers, findings, blocked)


def _planned(findings: list[Finding]) -> list[str]:
    """By system: the fewest seeds that it has in a language, of how many."""
    found: dict[str, tuple[int, int]] = {}
    for title, there, planned in (one for finding in findings for one in finding.planned):
        fewest, most = found.get(title, (there, planned))
        found[title] = (min(there, fewest), max(planned, most))
    return [f"{there} of {planned} of {title}" for title, (there, planned) in found.items()]


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
    finding.planned = lacking(results, rivals, best)
    _judge_gain(finding, best, smallest)
    _judge_rivals(finding, run, smallest)
    judge_fairness(finding, rivals)
    judge_language(finding, best, tolerance(results))
    judge_mechanism(finding, comparisons, smallest)
    mention_others(finding, comparisons, best)
    return finding


def _judge_gain(finding: Finding, best: Comparison, smallest: float) -> None:
    assert best.difference
    gain, (low, high) = best.difference.value, best.corrected
    said = (f"Gain over {best.title}: {names.signed(gain, 2)} ROUGE-L, corrected interval "
            f"{names.interval((low, high), 2, sign=True)}")  # fmt: skip
    could = (
        f" This test would find a true gain of {names.number(best.detectable)} in 80 % of cases."
    )
    if not best.difference.decides:
        finding.lacks(f"{said}. A side has fewer than three seeds, and decides nothing.{could}")
        return
    finding.gains = gain >= smallest and low > 0
    if finding.gains:
        finding.reasons.append(f"{said}: at least {smallest:g}, and above 0.")
    else:
        lacking = "less than the smallest that counts" if gain < smallest else "0 is within it"
        finding.lacks(f"{said}: {lacking}.{could}")


def _judge_rivals(finding: Finding, run: list[Comparison], smallest: float) -> None:
    """One rival that LAFT cannot beat by the smallest gain is enough to refute."""
    sure = [c for c in run if c.difference and c.difference.decides]
    for c in sorted(sure, key=lambda c: c.simultaneous[1])[:1]:
        upper = c.simultaneous[1]
        if upper < smallest:
            finding.refutes = True
            digits = next((d for d in range(2, 6) if round(upper, d) < smallest), 6)
            finding.lacks(f"Over {c.title} even the simultaneous upper end of the gain, "
                          f"{names.number(upper, digits)}, is under {smallest:g}.")  # fmt: skip


def summary(comparisons: Comparisons, finding: Finding) -> str:
    """A language in two sentences: scores with their seeds, the source's first sentence, copies."""
    name = names.language(finding.lang)
    best = finding.best
    if best is None or best.laft is None or best.rival is None:
        return f"{name}:"
    laft, rival = best.laft, best.rival
    said = (f"{name}: LAFT {names.number(laft.mean.value)} ({seeds(len(laft.cells))}), best "
            f"rival {best.title} {names.number(rival.mean.value)} "
            f"({seeds(len(rival.cells))})")  # fmt: skip
    lead = floor(comparisons, "headlines", finding.lang, "lead1")
    said += f", the source's first sentence {names.number(lead['f'])}." if lead else "."
    copied, usual = laft.score("copied"), laft.score("reference_copied")
    if copied is not None and usual is not None:
        said += (f" LAFT copies {names.percent(copied)} of its outputs from the source; of the "
                 f"references {names.percent(usual)} are copies.")  # fmt: skip
    return said + _surely(comparisons, finding.lang)


def _surely(comparisons: Comparisons, lang: str) -> str:
    """The named rivals that LAFT is above or below with every seed spread measured."""
    sure = [c for c in comparisons.contrasts
            if (c.task, c.setting, c.lang) == ("headlines", "zero-shot", lang)
            and c.difference and c.difference.decides]  # fmt: skip
    above = [c.title for c in sure if c.corrected[0] > 0]
    below = [c.title for c in sure if c.corrected[1] < 0]
    open_ = [c.title for c in sure if c.title not in (*above, *below)]
    parts = [("is above", above), ("is below", below), ("cannot be told from", open_)]
    said = [f"it {word} {names.join(titles)}" for word, titles in parts if titles]
    return f" Of the rivals with three seeds or more {'; '.join(said)}." if said else ""
