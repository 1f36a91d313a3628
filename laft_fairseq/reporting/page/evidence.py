"""What stands behind the tables: gates, an overview, other scores, learning curves."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from laft_fairseq.tables import charts, names
from laft_fairseq.tables.comparisons import Comparisons, System
from laft_fairseq.tables.document import Chart, Details, Entry, Node, Row, Table, Text
from laft_fairseq.tables.floors import floor
from laft_fairseq.tables.main_tables import HEADLINE, lines, spread
from laft_fairseq.tables.results import Results

GATES = (
    "Supervised training beats LEAD-1",
    "Translations are found by cosine, before and after removal",
    "Denoising beats a unigram filler; reconstruction is in the right language",
    "Full finetuning, zero-shot, shows the failure that LAFT is to mend",
)
_LEGEND = (
    "A ring: one seed, with the spread between seeds of its method's other systems. "
    "Dashed: the first sentence."
)
_STATES = {True: "passed", False: "failed", None: names.NOT_RUN}


def gate_table(results: Results) -> list[Node]:
    """Whether the backbone is strong enough for the tables to mean anything."""
    gates = results.gates or [{"title": title, "passed": None} for title in GATES]
    rows = [
        [
            Entry(str(gate.get("title") or gate.get("name", ""))),
            Entry(_STATES[gate["passed"]], strong=gate["passed"] is False),
            Entry(str(gate.get("detail") or names.NONE)),
            Entry(str(gate.get("hangs") or names.NONE)),
        ]
        for gate in gates
    ]
    header = ["Gate", "State", "Numbers", "What failing would mean"]
    return [Table("Gates, before any table", header, rows, prose=True)]


def overview(results: Results, comparisons: Comparisons, targets: Sequence[str]) -> list[Node]:
    """Zero-shot headlines at a glance, a chart for each language."""
    found: list[Node] = []
    for lang in targets:
        bars = []
        for line in lines(comparisons, "headlines", "zero-shot", [lang]):
            system = comparisons.find("headlines", "zero-shot", lang, line.method, line.variant)
            if system and line.selections == HEADLINE:
                ends = system.mean.interval()
                kind = "main" if (line.method, line.variant) == ("laft", "main") else ""
                single = len(system.cells) == 1
                bars.append(charts.Bar(line.title, system.mean.value, *ends, kind, single))
        bars.sort(key=lambda bar: -bar.value)
        lead = floor(comparisons, "headlines", lang, "lead1")
        for name in ("lead1", "english_reference"):
            score = floor(comparisons, "headlines", lang, name)
            if bars and score:
                bars.append(charts.Bar(names.FLOORS[name], score["f"], score["low"],
                                       score["high"], "floor"))  # fmt: skip
        if bars:
            title = f"{names.language(lang)} headlines, zero-shot: ROUGE-L with 95 % interval"
            line_at = lead["f"] if lead else None
            found.append(Chart(charts.intervals(title, bars, line_at), f"{title}. {_LEGEND}"))
    if not found:
        return [Text("No zero-shot headline cell was run yet.")]
    return [Row(found)]


def score_tables(comparisons: Comparisons) -> list[Node]:
    """Everything else that the outputs were asked, a table for each task and language."""
    header = ["System", "Seeds", "Items", "ROUGE-L", "Right language", "Undecidable",
              "ROUGE-L of those right",
              "Copied", "Novel ROUGE-L", "Length ratio", "Empty", "Learning rate",
              "Minutes: stage 1", "stage 2", "generation"]  # fmt: skip
    found: list[Node] = []
    for task, title in names.TASKS.items():
        for lang in sorted({s.row.lang for s in comparisons.systems if s.row.task == task}):
            rows: list[Sequence[Entry] | str] = []
            own = [s for s in comparisons.systems
                   if (s.row.task, s.row.lang) == (task, lang)
                   and not comparisons.doubles(s)]  # fmt: skip
            for setting, block in names.SETTINGS.items():
                inside = [s for s in own if s.row.setting == setting]
                rows += [block, *map(_score_row, sorted(inside, key=_order))] if inside else []
            rows += ["References", _reference_row(own[0])]
            caption = f"{title}, {names.language(lang)}: means over seeds"
            found.append(Details(caption, [Table(caption, header, rows)]))
    if found:
        found.append(Text("Right language: of the outputs that an identifier can decide; "
                          "undecidable: too little text once names are left out."))  # fmt: skip
    return found or [Text("No cell was run yet.")]


def _order(system: System) -> tuple[int, int, str, str]:
    methods, variants = list(names.METHODS), ["main", "stage1", *list(names.VARIANTS)[1:]]
    variant = system.row.variant
    place = variants.index(variant) if variant in variants else len(variants)
    return methods.index(system.row.method), place, variant, system.row.selection


def _score_row(system: System) -> list[Entry]:
    cost = [_minutes(system, key) for key in ("stage1_seconds", "stage2_seconds",
                                              "generate_seconds")]  # fmt: skip
    score, seeds = system.score, len(system.cells)
    return [
        Entry(system.row.title),
        Entry(str(seeds)),
        Entry(str(system.mean.n)),
        Entry(names.number(system.mean.value), spread(system)),
        Entry(names.percent(score("right_language"))),
        Entry(names.percent(score("undecidable"))),
        Entry(names.number(score("rougeL_right_language"))),
        Entry(names.percent(score("copied"))),
        Entry(names.number(score("novel_rougeL"))),
        Entry(names.number(score("length_ratio"), 2)),
        Entry(names.number(score("empty"))),
        Entry(
            _rates(system),
            names.chosen(system.row.task, system.row.setting, system.row.selection).removeprefix(
                "learning rate "
            ),
        ),
        *map(Entry, cost),
    ]


def _reference_row(system: System) -> list[Entry]:
    entries = [Entry(names.NONE)] * 15
    entries[0] = Entry("references themselves")
    entries[4] = Entry(names.percent(system.score("reference_right_language")))
    entries[5] = Entry(names.percent(system.score("reference_undecidable")))
    entries[7] = Entry(names.percent(system.score("reference_copied")))
    return entries


def _rates(system: System) -> str:
    """Learning rates of stage 1 and stage 2, and how many were tried."""
    data = system.cells[0].data
    rates = data.get("learning_rate") or {}
    shown = [f"{rates[s]:g}" for s in ("stage1", "stage2") if isinstance(rates.get(s), int | float)]
    tried = len(data.get("grid") or ())
    return f"{', '.join(shown) or names.NONE} ({tried} tried)"


def _minutes(system: System, key: str) -> str:
    values = [(cell.data.get("cost") or {}).get(key) for cell in system.cells]
    seconds = [value for value in values if isinstance(value, int | float)]
    return names.number(float(np.mean(seconds)) / 60) if seconds else names.NONE


def curve_charts(results: Results) -> list[Node]:
    """Loss by updates, of the lowest seed; one training serves all languages of some settings."""
    seen: dict[str, list[dict[str, Any]]] = {}
    order = list(names.SETTINGS)
    for cell in sorted(results.cells, key=lambda c: (c.row.task, order.index(c.row.setting))):
        row, curve = cell.row, cell.data.get("curve") or []
        if row.selection != "target" and curve:
            shared = row.setting in ("zero-shot", "translate-test")
            where = "" if shared else f" {names.language(row.lang)}"
            key = f"{names.TASKS[row.task]}, {row.setting}{where}: {row.title}"
            seen.setdefault(key, curve)
    found: list[Node] = []
    for title, curve in seen.items():
        drawn: list[Node] = []
        for stage in (1, 2):
            by_split = {split: _points(curve, stage, split) for split in ("train", "valid")}
            there = {split: points for split, points in by_split.items() if points}
            if there:
                name = f"Stage {stage}"
                drawn.append(Chart(charts.curves(f"{title}, stage {stage}: loss", there), name))
        found.append(Details(title, [Row(drawn)], opened=title.endswith("zero-shot: LAFT")))
    if not found:
        return [Text("No learning curve was recorded.")]
    return [
        Text(
            "Loss by updates of the lowest seed, as the HTML page draws it. Solid: validation; "
            "dashed: training."
        ),
        *found,
    ]


def _points(curve: list[dict[str, Any]], stage: int, split: str) -> list[tuple[float, float]]:
    return [(float(p["update"]), float(p["loss"])) for p in curve
            if p.get("stage") == stage and p.get("split") == split
            and isinstance(p.get("loss"), int | float)
            and isinstance(p.get("update"), int | float)]  # fmt: skip
