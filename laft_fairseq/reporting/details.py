"""What stands behind the tables: sanity checks, representations, other scores, costs, outputs."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from laft_fairseq.reporting import names
from laft_fairseq.reporting.comparisons import SYSTEM_VARIANTS, Comparisons, System
from laft_fairseq.reporting.markup import Table, entry, in_language
from laft_fairseq.reporting.results import Results

OUTPUTS = 10
_STAGES = {"e": "encoder output", "r": "after removal", "fused": "after fusion"}
_MEASURES = {
    "silhouette": "silhouette",
    "retrieval": "retrieval",
    "retrieval, Latin masked": "retrieval_masked",
    "probe by sentence": "probe",
    "probe by token": "token_probe",
}
# Columns of the other scores: title, key of the score, how it is written.
_SCORES = (
    ("Right language", "right_language", names.percent),
    ("Undecidable", "undecidable", names.percent),
    ("Known words", "known_words", names.percent),
    ("ROUGE-L of those right", "rougeL_right_language", names.number),
    ("Copied", "copied", names.percent),
    ("Novel ROUGE-L", "novel_rougeL", names.number),
    ("Length ratio", "length_ratio", lambda value: names.number(value, 2)),
    ("Empty", "empty", names.number),
)


def representation_table(results: Results) -> Table:
    """Return silhouette, retrieval and probes by variant, languages and stage."""
    rows: list[Sequence[str] | str] = []
    caption = "How much language the representations show, before and after removal"
    chance = ""
    for variant in dict.fromkeys(["main", *names.ABLATIONS, *results.representations]):
        measures = results.representations.get(variant, {}).get("measures") or {}
        panels = measures.get("panels") or []
        rows += [names.system("laft", variant)] if panels else []
        for panel in panels:
            langs = " and ".join(names.language(tag) for tag in panel.get("langs") or [])
            stage = _STAGES.get(panel.get("stage"), panel.get("stage") or names.NONE)
            rows.append([langs, stage, *(_measure(panel.get(key)) for key in _MEASURES.values())])
            level = (panel.get("retrieval") or {}).get("chance")
            chance = chance if level is None else f"; chance of retrieval {100 * level:.1f} %"
    return Table(caption + chance, ["Languages", "Representation", *_MEASURES], rows)


def _measure(value: Any) -> str:
    """Return a measure for reading: retrieval both ways, a probe's accuracy, or a silhouette."""
    if value is None:
        return names.NOT_MEASURED
    if isinstance(value, dict):
        share = value["value"] if "value" in value else (value["forward"] + value["backward"]) / 2
        return names.percent(100 * share)
    return names.number(value, 3)


def by_task_and_language(comparisons: Comparisons) -> dict[tuple[str, str], list[System]]:
    """Return the systems of each task and test language, in the order of the page."""
    groups: dict[tuple[str, str], list[System]] = {}
    for system in comparisons.systems:
        if not comparisons.doubles(system):
            groups.setdefault((system.row.task, system.row.lang), []).append(system)
    return groups


def score_table(systems: Sequence[System]) -> Table:
    """Return the other scores of the outputs and what they cost, of one task and language."""
    rows: list[Sequence[str] | str] = []
    for system in systems:
        row, data = system.row, system.cells[0].data
        title = names.SETTINGS[row.setting]
        rows += [title] if title not in rows else []
        rates = [rate for rate in (data.get("learning_rate") or {}).values() if rate is not None]
        shown = ", ".join(f"{rate:g}" for rate in rates) or names.NONE
        rows.append([
            entry(row.title, names.BY_TARGET if row.selection == "target" else ""),
            names.number(system.mean.value),
            *(written(system.score(key)) for _, key, written in _SCORES),
            entry(shown, f"{len(data.get('grid') or ())} tried"),
            " + ".join(_minutes(system, stage) for stage in ("stage1", "stage2", "generate")),
        ])  # fmt: skip
    references = [written(systems[0].score(f"reference_{key}")) for _, key, written in _SCORES]
    rows += ["References", ["references themselves", names.NONE, *references, *[names.NONE] * 2]]
    row, items = systems[0].row, systems[0].mean.n
    caption = f"{names.TASKS[row.task]}, {names.language(row.lang)}, {items} test items"
    titles = [title for title, *_ in _SCORES]
    costs = ["Learning rates", "Minutes: stage 1 + stage 2 + generation"]
    return Table(f"{caption}: means over seeds", ["System", "ROUGE-L", *titles, *costs], rows)


def _minutes(system: System, stage: str) -> str:
    values = [(cell.data.get("cost") or {}).get(f"{stage}_seconds") for cell in system.cells]
    seconds = [value for value in values if value is not None]
    return names.number(float(np.mean(seconds)) / 60) if seconds else names.NONE


def output_table(results: Results, systems: Sequence[System]) -> Table:
    """Return outputs for the first test items: of the paper's systems, of one task and language."""
    task, lang = systems[0].row.task, systems[0].row.lang
    samples = ((results.experiment.get("samples") or {}).get(task) or {}).get(lang) or {}
    given = {"input": samples.get("inputs"), "reference": samples.get("references")}
    for system in systems:
        row = system.row
        if row.selection != "target" and row.variant in SYSTEM_VARIANTS:
            title = row.title if row.setting == "zero-shot" else f"{row.title}, {row.setting}"
            given[title] = system.cells[0].data.get("outputs")
    rows: list[Sequence[str] | str] = []
    for index in range(OUTPUTS):
        texts = {title: texts[index] for title, texts in given.items() if texts and texts[index:]}
        rows += [f"Item {index + 1}"] if texts else []
        rows += [[title, in_language(text or names.NONE, lang)] for title, text in texts.items()]
    caption = f"{names.TASKS[task]}, {names.language(lang)}"
    return Table(caption, ["System", "Text"], rows, prose=True)
