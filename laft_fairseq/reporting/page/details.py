"""What stands behind the tables: sanity checks, other scores, costs, outputs and conditions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from laft_fairseq.reporting import names
from laft_fairseq.reporting.comparisons import Comparisons, System
from laft_fairseq.reporting.page.entries import Entry, Table
from laft_fairseq.reporting.page.main_tables import spread
from laft_fairseq.reporting.results import Cell, Results

OUTPUTS = 10
_STATES = {True: "passed", False: "failed", None: names.NOT_RUN}
# Columns of the other scores: title, key of the score, how it is written.
_SCORES = (
    ("Right language", "right_language", names.percent),
    ("Undecidable", "undecidable", names.percent),
    ("ROUGE-L of those right", "rougeL_right_language", names.number),
    ("Copied", "copied", names.percent),
    ("Novel ROUGE-L", "novel_rougeL", names.number),
    ("Length ratio", "length_ratio", lambda value: names.number(value, 2)),
    ("Empty", "empty", names.number),
)
_COSTS = {
    "Minutes: stage 1": "stage1_seconds",
    "stage 2": "stage2_seconds",
    "generation": "generate_seconds",
}


def sanity_checks(results: Results) -> Table:
    """Return whether the backbone is strong enough for the tables to mean anything."""
    rows = [
        [
            check.get("title") or check.get("name") or "",
            Entry(_STATES[check.get("passed")], strong=check.get("passed") is False),
            check.get("detail") or names.NONE,
            check.get("hangs") or names.NONE,
        ]
        for check in results.sanity_checks or []
    ]
    header = ["Sanity check", "State", "Numbers", "What failing would mean"]
    return Table("Sanity checks, before any table", header, rows, prose=True)


def score_table(task: str, lang: str, systems: Sequence[System]) -> Table:
    """Return the other scores of the outputs and what they cost, of one task and language."""
    rows: list[Sequence[Entry | str] | str] = []
    for setting, title in names.SETTINGS.items():
        block = [_score_row(system) for system in systems if system.row.setting == setting]
        rows += [title, *block] if block else []
    references = ["references themselves", *[names.NONE] * 3]
    for _, key, written in _SCORES:
        references.append(written(systems[0].score(f"reference_{key}")))
    rows += ["References", [*references, *[names.NONE] * (1 + len(_COSTS))]]
    caption = f"{names.TASKS[task]}, {names.language(lang)}: means over seeds"
    titles = [title for title, *_ in _SCORES]
    header = ["System", "Seeds", "Items", "ROUGE-L", *titles, "Learning rate", *_COSTS]
    return Table(caption, header, rows)


def by_task_and_language(comparisons: Comparisons) -> dict[tuple[str, str], list[System]]:
    """Return the systems of each task and test language, in the order of the page."""
    groups: dict[tuple[str, str], list[System]] = {}
    for system in comparisons.systems:
        if not comparisons.doubles(system):
            groups.setdefault((system.row.task, system.row.lang), []).append(system)
    return groups


def _score_row(system: System) -> list[Entry | str]:
    row = system.row
    chosen = names.chosen(row.task, row.setting, row.selection).removeprefix("learning rate ")
    return [
        row.title,
        str(len(system.cells)),
        str(system.mean.n),
        Entry(names.number(system.mean.value), spread(system)),
        *(written(system.score(key)) for _, key, written in _SCORES),
        Entry(_rates(system), chosen),
        *(_minutes(system, key) for key in _COSTS.values()),
    ]


def _rates(system: System) -> str:
    """Return the learning rates of stage 1 and stage 2, and how many were tried."""
    data = system.cells[0].data
    rates = data.get("learning_rate") or {}
    shown = [f"{rates[stage]:g}" for stage in ("stage1", "stage2") if rates.get(stage) is not None]
    return f"{', '.join(shown) or names.NONE} ({len(data.get('grid') or ())} tried)"


def _minutes(system: System, key: str) -> str:
    values = [(cell.data.get("cost") or {}).get(key) for cell in system.cells]
    seconds = [value for value in values if value is not None]
    return names.number(float(np.mean(seconds)) / 60) if seconds else names.NONE


def rate_table(results: Results) -> Table:
    """Return the learning rates tried, with their scores on validation pairs."""
    rows = []
    for file, data in results.selections.items():
        tried = "; ".join(f"{rate}: {_words(score)}" for rate, score in data["validation"].items())
        source = data.get("source") or data.get("chosen") or names.NONE
        title = "/".join(file.removesuffix(".json").split("/")[-2:])
        rows.append([title, tried, source, data.get("target") or names.NONE])
    header = ["Choice", "Rate: validation scores", "Chosen", "Chosen on the target language"]
    caption = "Learning rates tried: loss in stage 1, else ROUGE-L"
    return Table(caption, header, rows, prose=True)


def output_tables(results: Results, systems: Sequence[System]) -> list[Table]:
    """Return every system's output for the first test items, a table each."""
    tables = [_output_table(results, index, systems) for index in range(OUTPUTS)]
    return [table for table in tables if table]


def _output_table(results: Results, index: int, systems: Sequence[System]) -> Table | None:
    task, lang = systems[0].row.task, systems[0].row.lang
    samples = ((results.experiment.get("samples") or {}).get(task) or {}).get(lang) or {}
    rows: list[Sequence[Entry | str] | str] = []
    for key, title in (("inputs", "input"), ("references", "reference")):
        for text in (samples.get(key) or [])[index : index + 1]:
            rows.append([Entry(title, muted=True), Entry(text, lang=lang, muted=True)])
    setting, given = "", len(rows)
    for system in systems:
        row = system.row
        for text in (system.cells[0].data.get("outputs") or [])[index : index + 1]:
            rows += [names.SETTINGS[row.setting]] if row.setting != setting else []
            setting = row.setting
            note = names.SELECTIONS["target"] if row.selection == "target" else ""
            rows.append([Entry(row.title, note), Entry(text or "(empty)", lang=lang)])
    if len(rows) == given:
        return None
    return Table(f"Item {index + 1}", ["System", "Text"], rows, prose=True)


def conditions(results: Results) -> Table:
    """Return backbone, machine and budget, as recorded before the run."""
    rows = []
    for key in ("backbone", "budget", "machine", "source", "targets"):
        value = results.experiment.get(key)
        if value is not None:
            rows.append([key, _words(value)[1:-1] if isinstance(value, dict) else _words(value)])
    return Table("Recorded before any training", ["What", "Value"], rows, prose=True)


def cell_summary(cell: Cell) -> str:
    """Return a cell's score, file, rates tried, updates and data in a sentence."""
    cost, pairs = cell.data.get("cost") or {}, cell.data.get("training_pairs") or {}
    rates = ", ".join(f"{rate:g}" for rate in cell.data.get("grid") or ())
    updates = ", ".join(
        f"{key.replace('_', ' ')} {cost[key]}"
        for key in ("stage1_updates", "stage2_updates", "threads")
        if cost.get(key) is not None
    )
    summary = (
        f"Seed {cell.seed}: ROUGE-L {cell.data['scores']['rougeL']['f']:.2f}; file {cell.file}; "
        f"learning rates tried: {rates or 'not recorded'}; {updates or 'no cost was recorded'}."
    )
    if pairs:
        summary += f" Of the target's data: {_words(pairs)[1:-1]}."
    return summary + (" Interrupted: its time is not known." if cost.get("interrupted") else "")


def _words(value: Any) -> str:
    """Return a JSON value as text."""
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_words(part)}" for name, part in value.items()) + ")"
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if value >= 10_000 else str(value)
    return str(value)
