"""Take over what a run on another machine has finished, so that a plan may be spread over several.

A result needs the trainings behind it no more, so only results and choices are carried: they are
small, may be kept in a repository, and what is left of the plan is run on the same text and
backbone.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from examples.ddtp.tables.files import read_json, write_json
from examples.ddtp.tables.steps import Step

EXPERIMENT = "results/experiment.json"
CARRIED = ("results/**/*.json", "results/*.png", "select/**/*.json", "nearest.json",
           "retrieval.json")  # fmt: skip
# Made at the end of each run out of the rest.
MADE = {"results/gates.json"}
INTERMEDIATE = ("data", "components", "stage1", "stage2")


def text_digest(raw: Path) -> str:
    """Of all files of raw text in a folder, by name; what a killed run left unfinished is none."""
    digest = hashlib.sha256()
    for path in sorted(path for path in raw.iterdir() if not path.name.startswith(".")):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def finished(folder: Path) -> list[str]:
    """Names below a run's folder, or a copy of it, that may be taken over."""
    paths = [path for pattern in CARRIED for path in folder.glob(pattern) if path.is_file()]
    names = sorted(path.relative_to(folder).as_posix() for path in paths)
    return [name for name in names if name not in MADE]


def take_over(source: Path, out: Path, leave: Iterable[str] = ()) -> int:
    """Copy what is finished in `source` and not there in `out`; how many files were copied.

    Args:
        source, out: folders of runs.
        leave: settings of which nothing is copied.
    """
    count, left = 0, tuple(leave)
    for name in finished(source):
        target = out / name
        setting = Path(name).parts[1] if len(Path(name).parts) > 2 else ""
        if not target.exists() and not setting.startswith(left):
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.part")
            shutil.copyfile(source / name, partial)
            partial.replace(target)
            count += 1
    return count


def name_machines(experiment: Path, *machines: str) -> None:
    """Record beside an experiment's own machine those that other parts of it ran on."""
    written = read_json(experiment)
    names = "; ".join((written["machine"], *machines)).split("; ")
    written["machine"] = "; ".join(dict.fromkeys(names))
    write_json(experiment, written)


def spared(steps: Iterable[Step], done: set[str]) -> set[str]:
    """Ids of steps that are not done and that nothing which is left to do needs.

    Args:
        steps: in their order.
        done: what has not to be run: there, or not wanted.
    """
    steps = list(steps)
    needed: set[str] = set()
    for step in reversed(steps):  # what needs a step comes after it
        if step.id not in done and (step.kind not in INTERMEDIATE or step.id in needed):
            needed |= {step.id, *step.needs}
    return {step.id for step in steps if step.id not in done and step.id not in needed}
