"""What of a plan is done: its result is there, and is still what the plan asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from examples.ddtp.tables import carry
from examples.ddtp.tables.files import read_json
from examples.ddtp.tables.steps import Step

TRAININGS = ("stage1", "stage2")
NEAREST_FILE = "nearest.json"  # LAFT's nearest rivals, and among which cells they were found


def mark(training: Path) -> str:
    """What tells a training that has ended from another in the same folder."""
    return hashlib.sha256((training / "done.json").read_bytes()).hexdigest()


def has_outputs(out: Path, step: Step) -> bool:
    """Whether a cell's outputs are there, of a training that it needs as it is now."""
    folder = out / "runs" / step.id
    files = [folder / name for name in ("training", "generate.json", "generate.log")]
    if step.args.get("setting") == "translate-test" or not all(path.exists() for path in files):
        return False
    trainings = [out / "runs" / need for need in step.needs if need.startswith(TRAININGS)]
    marks = {mark(path) for path in trainings if (path / "done.json").exists()}
    return files[0].read_text() in marks


def compared(nearest: Path) -> list[str]:
    """The cells that the nearest rivals were found among; none where that is not recorded."""
    found = read_json(nearest) if nearest.exists() else {}
    return list(found.get("cells", ())) if isinstance(found, dict) else []


def is_done(out: Path, step: Step) -> bool:
    """Whether a step has its result; the nearest rivals are of as many cells as are planned."""
    result = out / step.result
    if not result.exists():
        return False
    return step.kind != "nearest" or set(step.args["cells"]) <= set(compared(result))


def unwanted(out: Path, steps: Iterable[Step]) -> set[str]:
    """Ids of the further seeds of systems that are not among LAFT's nearest rivals, once found."""
    steps = list(steps)
    if not any(step.kind == "nearest" and is_done(out, step) for step in steps):
        return set()
    rivals = read_json(out / NEAREST_FILE)["rivals"]
    return {step.id for step in steps if step.args.get("near")
            and f"{step.args['method']}.{step.args['variant']}" not in rivals}  # fmt: skip


def done(out: Path, steps: Iterable[Step]) -> set[str]:
    """Ids of what has not to be run.

    A training whose checkpoint was deleted, as nothing needed it any more, is run again where
    something that is new in the plan does; what is left to choose or to score does not.
    """
    steps = list(steps)
    there = {step.id for step in steps if is_done(out, step)}
    gone = {step.id for step in steps if step.id in there and step.kind in TRAININGS
            and not (out / "runs" / step.id / "checkpoint_last.pt").exists()}  # fmt: skip
    if not gone:
        return there
    without = {step.id for step in steps if step.kind in ("select", "select1")
               or (step.kind == "cell" and has_outputs(out, step))}  # fmt: skip
    return (there - gone) | (gone & carry.spared(steps, (there - gone) | without))
