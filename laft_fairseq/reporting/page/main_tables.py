"""Tables 1 to 3 of the paper: our number, its interval, and the paper's number beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from laft_fairseq.reporting import names
from laft_fairseq.reporting.comparisons import HEADLINE, Comparison, Comparisons, System
from laft_fairseq.reporting.page.entries import Entry, Table
from laft_fairseq.reporting.page.trivial_baselines import trivial_rows
from laft_fairseq.reporting.results import Results, Row

PAPER_SETTINGS = ("zero-shot", "translate-train")
TRAINED = "Trained in stage 2"
TABLE_VARIANTS = ("main", "projection", "stage1")
ABLATIONS = ("main", "no-removal", "no-fusion", "no-adapter", "no-stage1", "task-module-alone")


@dataclass(frozen=True)
class Line:
    """A system in a block of a table, and how its learning rate was chosen."""

    task: str
    setting: str
    method: str
    variant: str
    selections: tuple[str, ...] = HEADLINE
    both: bool = False  # the target's choice of the rate was the same, in every language

    @property
    def note(self) -> str:
        """What a reader has to know about the system."""
        if self.selections == ("target",):
            return names.SELECTIONS["target"]
        notes = ["not in the paper"] if self.method in names.NOT_IN_PAPER else []
        return "; ".join(notes + (["both choices of the rate"] if self.both else []))

    def system(self, comparisons: Comparisons, lang: str) -> System | None:
        """Return the system in a language, if it was run."""
        row = Row(self.task, self.setting, self.method, self.variant, lang)
        return comparisons.find(row, self.selections)


def lines(comparisons: Comparisons, task: str, setting: str, langs: Sequence[str]) -> list[Line]:
    """Return the lines of a block: the paper's systems, and others with a cell or a contrast."""
    systems = [
        system
        for system in comparisons.systems
        if (system.row.task, system.row.setting) == (task, setting) and system.row.lang in langs
    ]
    rows = [system.row for system in systems] + [
        comparison.row
        for comparison in comparisons.contrasts
        if (comparison.row.task, comparison.row.setting) == (task, setting)
        and comparison.row.lang in langs
    ]
    there = {(row.method, row.variant) for row in rows}
    if setting in PAPER_SETTINGS:
        there |= {(method, "main") for method in names.METHODS}
    target = [system for system in systems if system.row.selection == "target"]
    chosen = {(s.row.method, s.row.variant) for s in target}
    differing = {(s.row.method, s.row.variant) for s in target if not comparisons.doubles(s)}
    block = []
    for key in ((method, variant) for method in names.METHODS for variant in TABLE_VARIANTS):
        if key in there:
            block.append(Line(task, setting, *key, both=key in chosen - differing))
        if key in differing:
            block.append(Line(task, setting, *key, selections=("target",)))
    return block


def paper_table(
    results: Results, comparisons: Comparisons, number: int, task: str, langs: Sequence[str]
) -> Table:
    """Return Table 1 (headlines) or Table 2 (questions)."""
    rows: list[Sequence[Entry | str] | str] = []
    for setting, title in names.SETTINGS.items():
        block = lines(comparisons, task, setting, langs)
        reasons = _not_testable(results, task, setting, langs)
        if not block and not (reasons and task == "headlines"):
            continue
        rows.append(title + reasons)
        for line in block or [Line(task, setting, "laft", "main")]:
            title = names.system(line.method, line.variant) if block else "every system"
            rows.append([
                Entry(title, line.note),
                trained(comparisons, line, langs),
                *(entry for lang in langs
                  for entry in _scores(results, comparisons, number, line, lang, block)),
            ])  # fmt: skip
    rows += trivial_rows(comparisons, task, langs)
    what = names.TASKS[task].lower()
    caption = f"Table {number}: ROUGE-L of {what}, mean over seeds, 95 % interval beneath"
    return Table(caption, ["System", TRAINED, *_columns(langs)], rows)


def ablation_table(results: Results, comparisons: Comparisons) -> Table:
    """Return Table 3: LAFT without its parts, zh zero-shot."""
    lang = "zh_CN"
    named = [str(cell.get("variant") or "main") for cell in _paper_cells(results)
             if cell["table"] == 3]  # fmt: skip
    rows = []
    for variant in dict.fromkeys([*ABLATIONS, *named]):
        line = Line("headlines", "zero-shot", "laft", variant)
        rows.append([
            names.system("laft", variant),
            trained(comparisons, line, [lang]),
            *_scores(results, comparisons, 3, line, lang),
            minus_laft(comparisons.ablation(lang, variant)),
        ])  # fmt: skip
    caption = "Table 3: ablation, Chinese headlines, zero-shot; difference with corrected interval"
    return Table(caption, ["System", TRAINED, *_columns([lang]), "minus LAFT"], rows)


def spread(system: System) -> str:
    """Return the interval, the number of seeds, and whether their spread was measured."""
    seeds = {
        "own": f"{len(system.cells)} seeds",
        "borrowed": "one seed, spread borrowed",
        "unknown": "one seed, spread unknown",
    }
    return f"{names.interval(system.mean.interval())}\n{seeds[system.mean.spread]}"


def minus_laft(comparison: Comparison | None) -> Entry | str:
    """Return an ablation minus LAFT: corrected interval, seeds, and what the same seeds give."""
    if comparison is None or comparison.difference is None:
        return names.NONE
    low, high = comparison.corrected
    laft, ablation = comparison.difference.seeds
    note = f"{names.interval((-high, -low), sign=True)}\n{ablation} and {laft} seeds"
    if comparison.matched is not None:
        note += f";\nsame seeds {names.signed(-comparison.matched)}"
    return Entry(names.signed(-comparison.difference.value), note, strong=comparison.is_sure)


def trained(comparisons: Comparisons, line: Line, langs: Sequence[str]) -> Entry | str:
    """Return what stage 2 trains, as `laft parameters` prints it."""
    for lang in langs:
        system = line.system(comparisons, lang)
        counts = (system.cells[0].data.get("trained") or {}) if system else {}
        if counts.get("parameters") is not None:
            of = counts.get("of")
            note = "" if of is None else f"of {names.millions(of)}"
            return Entry(names.millions(counts["parameters"]), note)
    return names.NONE


def not_testable(results: Results, task: str, setting: str, lang: str, method: str) -> str:
    """Return the reason declared beforehand, or ""; a declaration may name a task as setting."""
    wanted = {"task": task, "lang": lang, "method": method}
    for given in results.experiment.get("not_testable") or []:
        of_row = all(given.get(key, value) == value for key, value in wanted.items())
        if of_row and given.get("setting", setting) in (setting, task):
            return given.get("reason", "no reason given")
    return ""


def _columns(langs: Sequence[str]) -> list[str]:
    columns = ("ROUGE-L", "right language", "paper")
    return [f"{names.language(lang)}: {column}" for lang in langs for column in columns]


def _scores(
    results: Results,
    comparisons: Comparisons,
    table: int,
    line: Line,
    lang: str,
    block: Sequence[Line] = (),
) -> list[Entry | str]:
    """Return our number, the share in the right language, and the paper's number.

    The number is bold if it is the highest of its block, and it and the next have three seeds.
    """
    system = line.system(comparisons, lang)
    paper = Entry(_paper(results, table, line, lang), muted=True)
    if system is None:
        reason = not_testable(results, line.task, line.setting, lang, line.method)
        absent = names.NOT_TESTABLE if reason else names.NOT_RUN
        return [Entry(absent, muted=True), names.NONE, paper]
    run = [one.system(comparisons, lang) for one in block if one.selections == HEADLINE]
    first = sorted((s for s in run if s), key=lambda s: -s.mean.value)[:2]
    best = len(first) > 1 and first[0] is system and all(s.mean.decides for s in first)
    rouge = Entry(names.number(system.mean.value), spread(system), strong=best)
    return [rouge, names.percent(system.score("right_language")), paper]


def _not_testable(results: Results, task: str, setting: str, langs: Sequence[str]) -> str:
    """Return what a block cannot hold, and why: ` – Chinese: not testable here, no engine`."""
    parts = []
    for lang in langs:
        reasons = [not_testable(results, task, setting, lang, method) for method in names.METHODS]
        words = "; ".join(dict.fromkeys(filter(None, reasons)))
        if words:
            parts.append(f" – {names.language(lang)}: {names.NOT_TESTABLE}, {words}")
    return "".join(parts)


def _paper_cells(results: Results) -> list[dict[str, object]]:
    return list((results.experiment.get("paper") or {}).get("cells") or [])


def _paper(results: Results, table: int, line: Line, lang: str) -> str:
    """Return the paper's number, a dash where the paper has none.

    Where nobody listed any number of the table, those of the paper's systems are not transcribed.
    """
    wanted = {"setting": line.setting, "method": line.method, "lang": lang}
    cells = [cell for cell in _paper_cells(results) if cell["table"] == table]
    for cell in cells:
        of_line = all(cell.get(key) == value for key, value in wanted.items())
        if of_line and (cell.get("variant") or "main") == line.variant:
            value = cell.get("rougeL")
            return names.NOT_TRANSCRIBED if value is None else f"{value:.2f}"
    in_paper = line.variant == "main" and line.method not in names.NOT_IN_PAPER
    if not cells and in_paper and line.setting in PAPER_SETTINGS:
        return names.NOT_TRANSCRIBED
    return names.NONE
