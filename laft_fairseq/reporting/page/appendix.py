"""Outputs side by side, the paper's own statements, and what made every cell."""

from collections.abc import Sequence
from typing import Any

from laft_fairseq.tables import names
from laft_fairseq.tables.comparisons import Comparisons, System
from laft_fairseq.tables.document import Bullets, Code, Details, Entry, Node, Table, Text
from laft_fairseq.tables.evidence import _order
from laft_fairseq.tables.results import Cell, Results

OUTPUTS = 10
_OPENED = 1  # of a language's inputs; the others open on demand


def outputs(results: Results, comparisons: Comparisons) -> list[Node]:
    """Ten outputs of every system for the same inputs, in each language."""
    found: list[Node] = []
    for task, title in names.TASKS.items():
        for lang in sorted({s.row.lang for s in comparisons.systems if s.row.task == task}):
            samples = results.experiment.get("samples", {}).get(task, {}).get(lang, {})
            own = sorted((s for s in comparisons.systems
                          if (s.row.task, s.row.lang) == (task, lang)
                          and not comparisons.doubles(s)),
                         key=lambda s: (list(names.SETTINGS).index(s.row.setting), _order(s)),
                         )  # fmt: skip
            items = [_item(i, samples, own, lang, i < _OPENED) for i in range(OUTPUTS)]
            there = [item for item in items if item]
            if there:
                found += [Details(f"{title}, {names.language(lang)}", there)]
    return [Text("Of the lowest seed; the first test items, not chosen."), *found] if found else [
        Text("No output was recorded.")]  # fmt: skip


def _item(index: int, samples: dict[str, Any], own: Sequence[System], lang: str,
          opened: bool) -> Details | None:  # fmt: skip
    rows: list[Sequence[Entry] | str] = []
    for key, title in (("inputs", "input"), ("references", "reference")):
        texts = samples.get(key) or []
        if index < len(texts):
            rows.append([Entry(title, muted=True), Entry(str(texts[index]), lang=lang, muted=True)])
    setting, there = "", False
    for system in own:
        texts = system.cells[0].data.get("outputs") or []
        if index >= len(texts):
            continue
        if system.row.setting != setting:
            setting = system.row.setting
            rows.append(names.SETTINGS[setting])
        note = names.SELECTIONS["target"] if system.row.selection == "target" else ""
        rows.append([Entry(system.row.title, note), Entry(str(texts[index]) or "(empty)",
                                                          lang=lang)])  # fmt: skip
        there = True
    if not there:
        return None
    table = Table(f"Item {index + 1}", ["System", "Text"], rows, prose=True)
    return Details(f"Item {index + 1}", [table], opened)


def statements(results: Results) -> list[Node]:
    """What the paper says that its tables do not, as the experiment's file lists it."""
    found = []
    for given in results.experiment.get("paper", {}).get("statements", []):
        if isinstance(given, dict):
            found.append("; ".join(f"{key}: {value}" for key, value in given.items()))
        else:
            found.append(str(given))
    return [Bullets(found)] if found else [Text("None was listed.")]


def setup(results: Results) -> list[Node]:
    """Backbone, machine and budget, as written down before the run."""
    experiment = results.experiment
    if not experiment:
        return [Text("There is no experiment.json: what was planned before the run is not known.")]
    rows = []
    for key in ("backbone", "budget", "machine", "source", "targets"):
        value = experiment.get(key)
        if isinstance(value, dict):
            first = _first(experiment) if key == "budget" else {}
            value = ", ".join(
                f"{name} {_words(part)}"
                + (f" (at first {_words(first[name])})" if name in first else "")
                for name, part in value.items()
            )
        if value is not None:
            rows.append([Entry(key), Entry(_words(value))])
    return [Table("Written down before any training", ["What", "Value"], rows, prose=True)]


def _first(experiment: dict[str, Any]) -> dict[str, object]:
    """What was amended in the budget, as it was before any training."""
    return {change["field"]: change["was"] for change in reversed(experiment.get("amended", []))}


def amendments(results: Results) -> list[Node]:
    """What was changed after the run had begun, as experiment.json records it."""
    lines = []
    for change in results.experiment.get("amended", []):
        words = f"{change['field']}, from {change['was']} to {change['now']}"
        if change.get("added"):
            lines.append(f"More seeds than planned, of what the verdict does not read: {words}.")
            continue
        gave = ", ".join(f"{name} {score}" for name, score in change.get("gave", {}).items())
        before = (
            f" Before, ROUGE-L: {gave}." if gave else " No cell that rests on it had been scored."
        )
        lines.append(
            f"Changed after the run had begun: {words}; what rests on it is run anew.{before}"
        )
    return [Bullets(lines)] if lines else []


def _words(value: object) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_words(part)}" for name, part in value.items()) + ")"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if value >= 10_000 else str(value)
    return str(value)


def cells(results: Results, comparisons: Comparisons) -> list[Node]:
    """Commands and signature of every cell."""
    found: list[Node] = []
    for system in comparisons.systems:
        row = system.row
        title = (f"{names.TASKS[row.task]}, {row.setting}, {names.language(row.lang)}: "
                 f"{row.title}, {names.chosen(row.task, row.setting, row.selection)}")  # fmt: skip
        children: list[Node] = []
        for cell in system.cells:
            children += _cell(results, cell)
        found.append(Details(title, children))
    return found or [Text("No cell was run yet.")]


def _cell(results: Results, cell: Cell) -> list[Node]:
    commands = cell.data.get("commands") or ["(no command was recorded)"]
    signature = cell.scores.get("signature") or "(no signature was recorded)"
    cost = cell.data.get("cost") or {}
    updates = ", ".join(f"{key.replace('_', ' ')} {cost[key]}" for key in
                        ("stage1_updates", "stage2_updates", "threads")
                        if cost.get(key) is not None)  # fmt: skip
    told = cell.data.get("training_pairs") or {}
    pairs = ", ".join(f"{key} {told[key]}" for key in told)
    grid = ", ".join(f"{rate:g}" for rate in cell.data.get("grid") or ())
    file = cell.path.relative_to(results.folder).as_posix()
    return [
        Text(f"Seed {cell.seed}: ROUGE-L {cell.scores['rougeL']['f']:.2f}; file {file}; learning "
             f"rates tried: {grid or 'not recorded'}; {updates or 'no cost was recorded'}."
             + (f" Of the target's data: {pairs}." if pairs else "")
             + (" Interrupted: its time is not known." if cost.get("interrupted") else "")),
        Code("\n".join([*map(str, commands), f"signature: {signature}"])),
    ]  # fmt: skip


def left_out(results: Results) -> list[Node]:
    """Files that were in the folder and not read as results."""
    if not results.left_out:
        return []
    shown = names.join([p.relative_to(results.folder).as_posix() for p in results.left_out])
    return [Text(f"Files that state no format, and were left out: {shown}.")]
