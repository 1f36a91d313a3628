"""Tables 1 to 3 of the paper: our number, its interval, and the paper's number beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from laft_fairseq.tables import names
from laft_fairseq.tables.comparisons import Comparisons, System
from laft_fairseq.tables.document import Entry, Node, Table, Text
from laft_fairseq.tables.floors import floor_rows
from laft_fairseq.tables.results import Results

PAPER_SETTINGS = ("zero-shot", "translate-train")
LABELS = {"zero-shot": "Zero-shot", "translate-train": "Translate-train"}
TRAINED = "Trained in stage 2"
HEADLINE = ("source", "fixed")  # no target-language data chose the learning rate
TABLE_VARIANTS = ("main", "projection", "stage1")
ABLATION = ("main", "no-removal", "no-fusion", "no-adapter", "no-stage1", "task-module-alone")


@dataclass(frozen=True)
class Line:
    """A row of a table: the system and how its learning rate was chosen."""

    method: str
    variant: str
    selections: tuple[str, ...] = HEADLINE
    both: bool = False  # the target's choice of the rate was the same, in every language

    @property
    def title(self) -> str:
        """The system's name."""
        return names.system(self.method, self.variant)

    @property
    def note(self) -> str:
        """What a reader has to know about the row."""
        if self.selections == ("target",):
            return names.SELECTIONS["target"]
        said = ["not in the paper"] if self.method in names.NOT_IN_PAPER else []
        return "; ".join(said + (["both choices of the rate"] if self.both else []))


def lines(comparisons: Comparisons, task: str, setting: str, langs: Sequence[str],
          variants: Sequence[str] = TABLE_VARIANTS) -> list[Line]:  # fmt: skip
    """The rows of a block: the paper's always, others where there is a cell or a contrast."""
    rows = [s.row for s in comparisons.systems
            if s.row.task == task and s.row.setting == setting and s.row.lang in langs]  # fmt: skip
    there = {(row.method, row.variant) for row in rows}
    there |= {(c.method, c.variant) for c in comparisons.contrasts
              if c.task == task and c.setting == setting and c.lang in langs}  # fmt: skip
    if setting in PAPER_SETTINGS:
        there |= {(method, "main") for method in names.METHODS}
    own = [s for s in comparisons.systems if s.row in rows and s.row.selection == "target"]
    chosen = {(s.row.method, s.row.variant) for s in own}
    differing = {(s.row.method, s.row.variant) for s in own if not comparisons.doubles(s)}
    found = []
    for method in names.METHODS:
        for variant in variants:
            key = (method, variant)
            if key in there:
                found.append(Line(method, variant, both=key in chosen - differing))
            if key in differing:
                found.append(Line(method, variant, ("target",)))
    return found


def paper_table(results: Results, comparisons: Comparisons, number: int, task: str,
                langs: Sequence[str]) -> list[Node]:  # fmt: skip
    """Table 1 (headlines) or Table 2 (questions)."""
    header = ["System", TRAINED, *_columns(langs)]
    rows: list[Sequence[Entry] | str] = []
    for setting, title in names.SETTINGS.items():
        block = lines(comparisons, task, setting, langs)
        if not block and not _mentioned(results, setting, task, langs):
            continue
        rows.append(title + _untestable(results, setting, task, langs))
        if not block:
            rows.append(_nobody(results, task, setting, langs))
        best = {lang: _best(comparisons, task, setting, lang, block) for lang in langs}
        for line in block:
            entries = [
                Entry(line.title, line.note),
                trained(comparisons, task, setting, langs, line),
            ]
            for lang in langs:
                entries += _scores(results, comparisons, number, task, setting, lang, line,
                                   best[lang])  # fmt: skip
            rows.append(entries)
    rows += floor_rows(comparisons, task, langs)
    what = names.TASKS[task].lower()
    caption = f"Table {number}: ROUGE-L of {what}, mean over seeds, 95 % interval beneath"
    return [Table(caption, header, rows)]


def ablation_table(results: Results, comparisons: Comparisons) -> list[Node]:
    """Table 3: LAFT without its parts, zh zero-shot."""
    lang, rows = "zh_CN", list[Sequence[Entry] | str]()
    named = [str(cell.get("variant", "main")) for cell in _paper_cells(results)
             if cell.get("table") == 3]  # fmt: skip
    for variant in dict.fromkeys([*ABLATION, *named]):
        line = Line("laft", variant)
        rows.append([
            Entry(line.title), trained(comparisons, "headlines", "zero-shot", [lang], line),
            *_scores(results, comparisons, 3, "headlines", "zero-shot", lang, line, None),
            to_main(comparisons, lang, variant),
        ])  # fmt: skip
    header = ["System", TRAINED, *_columns([lang]), "to LAFT"]
    caption = "Table 3: ablation, Chinese headlines, zero-shot; difference with corrected interval"
    return [Table(caption, header, rows), Text("All controls, in both languages, with what they do "
            "to the representations, stand under Controls.")]  # fmt: skip


def _nobody(results: Results, task: str, setting: str, langs: Sequence[str]) -> list[Entry]:
    """The row of a block of which nothing was run."""
    row = [Entry("every system"), Entry(names.NONE)]
    for lang in langs:
        row += [absent(results, task, setting, lang, "laft"), *[Entry(names.NONE)] * 2]
    return row


def _columns(langs: Sequence[str]) -> list[str]:
    found = []
    for lang in langs:
        name = names.language(lang)
        found += [f"{name}: ROUGE-L", f"{name}: right language", f"{name}: paper"]
    return found


def _scores(results: Results, comparisons: Comparisons, table: int, task: str, setting: str,
            lang: str, line: Line, best: System | None) -> list[Entry]:  # fmt: skip
    """Our number, the right-language share, the paper's number."""
    paper = Entry(_paper(results, table, setting, line, lang), muted=True)
    system = comparisons.find(task, setting, lang, line.method, line.variant, line.selections)
    if system is None:
        return [absent(results, task, setting, lang, line.method), Entry(names.NONE), paper]
    mean = Entry(names.number(system.mean.value), spread(system), strong=system is best)
    return [mean, Entry(names.percent(system.score("right_language"))), paper]


def spread(system: System) -> str:
    """The interval, the number of seeds, and whether their spread was measured."""
    said = {"own": f"{len(system.cells)} seeds", "borrowed": "one seed, spread borrowed",
            "unknown": "one seed, spread unknown"}  # fmt: skip
    return f"{names.interval(system.mean.interval())}\n{said[system.mean.spread]}"


def to_main(comparisons: Comparisons, lang: str, variant: str) -> Entry:
    """A control minus LAFT: corrected interval, seeds, and what the same seeds give."""
    own = comparisons.control(lang, variant)
    if own is None or own.difference is None:
        return Entry(names.NONE)
    low, high = own.corrected
    laft, control = own.difference.seeds
    note = f"{names.interval((-high, -low), sign=True)}\n{control} and {laft} seeds"
    if own.matched is not None:
        note += f"; same seeds {names.signed(-own.matched)}"
    sure = own.difference.decides and not low <= 0 <= high
    return Entry(names.signed(-own.difference.value), note, strong=sure)


def absent(results: Results, task: str, setting: str, lang: str, method: str) -> Entry:
    """Why there is no number; the reason stands at the head of the block."""
    if not_testable(results, task, setting, lang, method):
        return Entry(names.NOT_TESTABLE, muted=True)
    return Entry(names.NOT_RUN, muted=True)


def not_testable(results: Results, task: str, setting: str, lang: str, method: str) -> str:
    """The reason declared beforehand, or nothing. A declaration may name a task as its setting."""
    wanted = {"task": task, "lang": lang, "method": method}
    for given in results.experiment.get("not_testable", []):
        of_row = all(given.get(key, value) == value for key, value in wanted.items())
        if of_row and given.get("setting", setting) in (setting, task):
            return str(given.get("reason", "no reason given"))
    return ""


def _untestable(results: Results, setting: str, task: str, langs: Sequence[str]) -> str:
    """What a block cannot hold, and why: ` – Chinese: not testable here, no engine`."""
    found = []
    for lang in langs:
        reasons = [not_testable(results, task, setting, lang, method) for method in names.METHODS]
        words = "; ".join(dict.fromkeys(filter(None, reasons)))
        if words:
            found.append(f" – {names.language(lang)}: {names.NOT_TESTABLE}, {words}")
    return "".join(found)


def _mentioned(results: Results, setting: str, task: str, langs: Sequence[str]) -> bool:
    if setting in PAPER_SETTINGS or task != "headlines":
        return setting in PAPER_SETTINGS
    return any(not_testable(results, task, setting, lang, "laft") for lang in langs)


def _best(comparisons: Comparisons, task: str, setting: str, lang: str,
          block: Sequence[Line]) -> System | None:  # fmt: skip
    found = [comparisons.find(task, setting, lang, line.method, line.variant, line.selections)
             for line in block if line.selections == HEADLINE]  # fmt: skip
    run = sorted((s for s in found if s), key=lambda s: -s.mean.value)[:2]
    return run[0] if len(run) > 1 and all(s.mean.decides for s in run) else None


def trained(comparisons: Comparisons, task: str, setting: str, langs: Sequence[str],
            line: Line) -> Entry:  # fmt: skip
    """What stage 2 trains, as `laft parameters` prints it."""
    for lang in langs:
        system = comparisons.find(task, setting, lang, line.method, line.variant, line.selections)
        counts = system.cells[0].data.get("trained") if system else None
        if isinstance(counts, dict) and isinstance(counts.get("parameters"), int):
            of = counts.get("of")
            note = f"of {names.millions(of)}" if isinstance(of, int) else ""
            return Entry(names.millions(counts["parameters"]), note)
    return Entry(names.NONE)


def _paper_cells(results: Results) -> list[dict[str, Any]]:
    return list(results.experiment.get("paper", {}).get("cells", []))


def _paper(results: Results, table: int, setting: str, line: Line, lang: str) -> str:
    """The paper's number, a dash where the paper has none.

    Where nobody listed any number of the table, the rows that the paper has are not transcribed.
    """
    wanted = {"table": table, "setting": setting, "method": line.method, "lang": lang}
    for cell in _paper_cells(results):
        of_row = all(cell.get(key) == value for key, value in wanted.items())
        if of_row and cell.get("variant", "main") == line.variant:
            value = cell.get("rougeL")
            return names.NOT_TRANSCRIBED if value is None else f"{value:.2f}"
    listed = any(cell.get("table") == table for cell in _paper_cells(results))
    in_paper = line.variant == "main" and line.method not in names.NOT_IN_PAPER
    if not listed and in_paper and setting in PAPER_SETTINGS:
        return names.NOT_TRANSCRIBED
    return names.NONE
