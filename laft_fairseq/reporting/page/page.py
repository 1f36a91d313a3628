"""The page: the verdict first, then the tables, then everything that they rest on."""

from laft_fairseq.tables import (
    appendix,
    differences,
    evidence,
    main_tables,
    mechanism,
    names,
    verdict,
)
from laft_fairseq.tables.comparisons import Comparisons
from laft_fairseq.tables.document import Bullets, Callout, Details, Node, Page, Section, Text
from laft_fairseq.tables.results import Results

_KINDS = {verdict.CONFIRMED: "good", verdict.REFUTED: "bad"}
STATISTICS = (
    "Intervals and tests: hierarchical bootstrap over seeds and items, in closed form. "
    "Seeds are drawn with replacement on each side by itself (S − 1 of S, which makes their part "
    "of the variance unbiased), items with replacement and shared by both sides. The standard "
    "error of the bootstrap goes with the t distribution at Satterthwaite's degrees of freedom; p "
    "is two-sided.",
    "Holm's step-down procedure runs over all contrasts named beforehand; one that was not run "
    "counts as p = 1, and so does one with fewer than three seeds on a side, whose own p is not "
    "reliable and whose values are Bonferroni's. The two controls that the verdict asks are a "
    "second family, LAFT's other controls a third.",
    "One seed has no spread of its own. It is lent the one pooled over its method's systems, of "
    "its language, that have several seeds, or over all methods' where none of its own has; else "
    "the interval holds the items' noise alone and is too narrow. At corrected levels either is "
    "too narrow where spreads differ, and two seeds are little better: fewer than three on a side "
    "decide nothing.",
)


def build(results: Results) -> Page:
    """Everything that the results say."""
    comparisons = Comparisons(results)
    targets = list(results.experiment.get("targets", ["fr_XX", "zh_CN"]))
    tables: list[Node] = [
        *main_tables.paper_table(results, comparisons, 1, "headlines", targets),
        *main_tables.paper_table(results, comparisons, 2, "questions", ["zh_CN"]),
        *main_tables.ablation_table(results, comparisons),
    ]
    legend = _legend(results)
    sections = [
        Section("verdict", "Verdict", _verdict(results, comparisons)),
        Section("glance", "At a glance", evidence.overview(results, comparisons, targets)),
        Section("gates", "Gates", [*evidence.gate_table(results), *appendix.amendments(results)]),
        Section("tables", "The paper's tables", [Text(legend), *tables]),
        Section("differences", "Differences to LAFT", [
            *differences.difference_table(comparisons),
            Bullets([*STATISTICS, *_shared(results)])]),
        Section("more", "Other settings against zero-shot", differences.gain_table(comparisons)),
        Section("scores", "What else the outputs were asked, and what they cost",
                evidence.score_tables(comparisons)),
        Section("controls", "Controls",
                mechanism.control_table(results, comparisons, targets)),
        Section("figure", "Figure 2", mechanism.figure(results)),
        Section("outputs", "Outputs side by side", appendix.outputs(results, comparisons)),
        Section("curves", "Learning curves", evidence.curve_charts(results)),
        Section("paper", "The paper's own statements", appendix.statements(results)),
        Section("setup", "What was planned", appendix.setup(results)),
        Section("cells", "Command and signature behind every cell", [
            *appendix.cells(results, comparisons), *appendix.left_out(results)]),
    ]  # fmt: skip
    title = str(results.experiment.get("title") or "LAFT: the paper's tables on this backbone")
    return Page(title, _introduction(results, comparisons), sections)


def _shared(results: Results) -> list[str]:
    """What the spread between seeds leaves out, where seeds share a stage 1."""
    count = (results.experiment.get("budget") or {}).get("stage1_seeds")
    if count != 1:
        return []
    return [
        "All seeds of a system start from one run of stage 1: the spread between seeds is that of "
        "stage 2 alone."
    ]


def _introduction(results: Results, comparisons: Comparisons) -> list[str]:
    backbone = results.experiment.get("backbone") or {}
    doubles = sum(len(s.cells) for s in comparisons.systems if comparisons.doubles(s))
    cells = len(results.cells) - doubles
    known = ""
    if isinstance(backbone, dict) and backbone.get("name"):
        count = backbone.get("parameters")
        size = f", {names.millions(count)} parameters" if isinstance(count, int) else ""
        known = f" Backbone: {backbone['name']}{size}."
    return [
        "LAFT removes from each text's encoding what betrays its language, learns the task on "
        "English alone, and puts the language back before the decoder writes. Does that beat plain "
        f"finetuning here? {cells} {'cell' if cells == 1 else 'cells'} read: a cell is one trained "
        f"system, one seed, one test language.{known}",
    ]


def _legend(results: Results) -> str:
    source = (results.experiment.get("paper") or {}).get("source")
    of = f" ({source})" if source else ""
    return (
        "Ours beside the paper's. They are not comparable in size: the backbone, the data and the "
        f"scorer differ. Paper{of}: “{names.NOT_TRANSCRIBED}” is a number that nobody copied "
        f"here, {names.NONE} one that the paper does not have. “+ stage 1”: the row also trained "
        "on the same unlabelled text for the same updates as LAFT. Learning rates are chosen "
        "without target-language data unless the row says otherwise; “both choices of the rate”: "
        "target-language data chose the same. “of”: as fairseq-train counts when stage 2 begins, "
        "without the frozen adapters of languages that it does not train on. “Spread borrowed”: "
        "one seed, whose interval takes the spread between seeds from its method's systems that "
        "have several (where none has, from all methods'). Bold: the highest of a block, where it "
        "and the next have three seeds or more; of a control's difference to LAFT, a corrected "
        "interval that leaves 0 out, likewise."
    )


def _verdict(results: Results, comparisons: Comparisons) -> list[Node]:
    found = verdict.judge(results, comparisons)
    children: list[Node] = []
    if found.word != found.by_numbers:
        children.append(Text(f"By the numbers alone, that left aside: {found.by_numbers}."))
    if found.blocked:
        children.insert(0, Bullets(found.blocked))
    for finding in found.findings:
        children += [Text(verdict.summary(comparisons, finding)), Bullets(finding.reasons)]
    return [
        Callout(_KINDS.get(found.word, "open"), found.word.capitalize(), children),
        Details("The rule, and what was changed of it", [Bullets(verdict.rule(results))]),
    ]
