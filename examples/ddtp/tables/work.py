"""The run that every action works on: its budget, its places, its worker's core."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from examples.ddtp.tables import data, logs, process
from examples.ddtp.tables.budget import Budget
from examples.ddtp.tables.commands import Place
from examples.ddtp.tables.files import read_json
from examples.ddtp.tables.steps import CHOSEN, Resources, Step, System


class StepFailed(Exception):
    """A step that did not come to its result; one line."""


@dataclass
class Work:
    """The run: its budget, where everything lies, and what a worker may use."""

    budget: Budget
    place: Place
    sources: data.Sources
    have: Resources
    threads: int = 1
    worker: threading.local = field(default_factory=threading.local)

    @property
    def out(self) -> Path:
        """The run's folder."""
        return self.place.out

    def call(self, command: Sequence[str], log: Path, **more: Any) -> process.Usage:
        """Run a command on this worker's core; a failure is one line."""
        log.parent.mkdir(parents=True, exist_ok=True)
        core = getattr(self.worker, "core", None)
        usage = process.run(command, log, threads=self.threads, core=core, **more)
        if usage.code:
            told = more.get("stderr") or log
            raise StepFailed(f"{command[0]} ended with {usage.code}: {logs.failure(told)} ({told})")
        return usage

    def words(self, command: Sequence[str]) -> str:
        """The command as the page shows it, without this machine's folders."""
        text = shlex.join(command)
        for path, name in ((self.out, "$OUT"), (self.place.backbone, "$BACKBONE")):
            if path.is_absolute():
                text = text.replace(str(path), name)
        return text

    def chosen(self, step: Step, selection: str) -> str:
        """The rate of the grid that a step's system was given."""
        where = step.args.get("chosen_in", "zero-shot")
        method, variant = step.args["method"], step.args["variant"]
        control = System(method, variant).control is not None
        name = f"{method}.{'main' if control else variant}"
        rate = read_json(self.out / "select" / where / f"{name}.json")[selection]
        return str(rate)

    def left_of_grid(self, step: Step) -> set[str]:
        """The step's own rate, or, where its grid has been chosen from before, the chosen ones."""
        args = step.args
        if step.kind == "stage1" and args["rate"] != CHOSEN:
            where = "stage1"
        elif args.get("choose"):
            where = args["setting"]
        else:
            return {args["rate"]}
        path = self.out / "select" / where / f"{system_of(step).name}.json"
        if not path.exists():
            return {args["rate"]}
        found = read_json(path)
        return {str(found[name]) for name in (CHOSEN, "source", "target") if name in found}

    def stage1(self, step: Step) -> str | None:
        """The training of stage 1 that a stage 2 starts from, if it does."""
        base = step.args.get("stage1")
        if base is None:
            return None
        own = f"{base}.{CHOSEN}"
        if own in step.needs:
            return own
        return f"{base}.{self.stage1_rate(system_of(step))}"

    def stage1_rate(self, system: System) -> str:
        """The rate of stage 1 that a system was given; a control has LAFT's."""
        name = "laft.main" if system.control is not None else system.name
        return str(read_json(self.out / "select" / "stage1" / f"{name}.json")[CHOSEN])


def checkpoint(work: Work, training: str) -> Path:
    """The last checkpoint of a training that is done."""
    path = work.out / "runs" / training / "checkpoint_last.pt"
    if not path.exists():
        raise StepFailed(f"{path} is gone; remove {path.parent} to train it again")
    return path


def system_of(step: Step) -> System:
    """The system that a step trains or uses."""
    return System(step.args["method"], step.args["variant"])
