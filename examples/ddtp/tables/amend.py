"""What may be changed in a run that has begun, and how that is written down.

The supervised trainings stand behind the first gate alone and are part of no comparison. Where the
gate fails because they were short, the same run may train them for longer: what they gave before
is set aside, and experiment.json and the page name both. Of what the verdict does not read there
may be more seeds than were planned; what is there stays, and the change is named too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from examples.ddtp.tables.budget import Budget
from examples.ddtp.tables.files import read_json, write_json

AMENDABLE = {"supervised_updates": "supervised"}  # a field of the budget: the setting it changes
RAISABLE = ("joint_seeds", "control_seeds", "question_seeds")
ASIDE = "superseded"
PLACES = ("results", "select", "runs/stage2", "runs/cell")


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """The first amendable field in which two recorded budgets differ, in words."""
    for name in AMENDABLE:
        if before.get(name) != after.get(name):
            return f"{name.upper()} was {before.get(name)}, is now {after.get(name)}"
    return None


def overtaken(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> dict[str, str]:
    """Fields in which a folder was as another's results are and has been changed since.

    Args:
        theirs: a recorded budget.
        mine: an experiment's record.

    Returns:
        The setting that each field changes: nothing of it is to be taken over.
    """
    left = {(change["field"], change["was"]) for change in mine.get("amended", [])}
    return {
        name: setting
        for name, setting in AMENDABLE.items()
        if (name, theirs.get(name)) in left and theirs.get(name) != mine["asked"].get(name)
    }


def amend(out: Path, experiment: Path, budget: Budget) -> list[str]:
    """Set aside what an amended field has changed, and record the change, or more seeds.

    Args:
        out: the run's folder.
        experiment: its experiment.json, which may not be there yet.
        budget: as asked for now.

    Returns:
        A line for each change. Killed on its way, the next call does the rest.
    """
    if not experiment.exists():
        return []
    written, said = read_json(experiment), []
    for name, setting in AMENDABLE.items():
        was, now = written["asked"].get(name), getattr(budget, name)
        if was == now:
            continue
        earlier = len(written.get("amended", []))
        aside = out / ASIDE / (f"{name}-{was}" + (f".{earlier + 1}" if earlier else ""))
        _set_aside(out, aside, setting)
        change = {"field": name, "was": was, "now": now, "gave": _scores(aside)}
        written.setdefault("amended", []).append(change)
        written["asked"][name] = written["budget"][name] = now
        kept = f"what it gave is in {aside}" if aside.exists() else "nothing had been run with it"
        said.append(f"{name.upper()} was {was}, is now {now}; {kept}")
    for name in RAISABLE:
        was, now = written["asked"].get(name), getattr(budget, name)
        if was is None or now <= was:
            continue
        change = {"field": name, "was": was, "now": now, "added": True}
        written.setdefault("amended", []).append(change)
        written["asked"][name] = written["budget"][name] = now
        said.append(f"{name.upper()} was {was}, is now {now}; what is there stays")
    if said:
        write_json(experiment, written)
    return said


def _set_aside(out: Path, aside: Path, setting: str) -> None:
    for place in PLACES:
        for folder in sorted((out / place).glob(f"{setting}*")):
            target = aside / place / folder.name
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(target)


def _scores(aside: Path) -> dict[str, float]:
    """ROUGE-L of each cell that was set aside, by its name."""
    return {
        path.stem: round(read_json(path)["scores"]["rougeL"]["f"], 2)
        for path in sorted((aside / "results").rglob("*.json"))
    }
