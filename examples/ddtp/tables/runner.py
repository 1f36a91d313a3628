"""Runs a plan: what is done is skipped, steps run side by side, a failure stops its own only."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import IO

from examples.ddtp.tables import carry, state
from examples.ddtp.tables.actions import applies, perform
from examples.ddtp.tables.steps import NEAREST, Step
from examples.ddtp.tables.work import StepFailed, Work

SATISFIED = ("done", "dropped")


def lock(out: Path) -> IO[str]:
    """Held until this process ends, however it ends; a second run in the folder is refused."""
    out.mkdir(parents=True, exist_ok=True)
    handle = (out / ".lock").open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.seek(0)
        raise SystemExit(
            f"tables: {out}: another run is going on (process {handle.read().strip()}); wait for "
            "it, or name another OUT"
        ) from None
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    return handle


class Clock:
    """Expected seconds of steps: estimates, corrected by what steps of the same kind took."""

    def __init__(self) -> None:
        self.taken: dict[tuple[str, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])

    def add(self, step: Step, seconds: float) -> None:
        """A step came to its end."""
        for key in (step.group, step.group[:1]):
            self.taken[key][0] += seconds
            self.taken[key][1] += step.estimate

    def expected(self, step: Step) -> float:
        """Seconds that a step will take."""
        for key in (step.group, step.group[:1]):
            seconds, estimate = self.taken[key]
            if estimate > 0:
                return step.estimate * seconds / estimate
        return step.estimate


def duration(seconds: float) -> str:
    """`2 h 10 min`, `12 min`, `40 s`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def shares(steps: Iterable[Step], done: Container[str]) -> dict[str, float]:
    """How likely each step is wanted: of the systems that may be nearest rivals a few will be.

    Once these are found, those of other systems are left out already.
    """
    steps = list(steps)
    found = any(step.kind == "nearest" and step.id in done for step in steps)
    near = [] if found else [step for step in steps if step.args.get("near")]
    rivals = len({(step.args["method"], step.args["variant"]) for step in near})
    share = min(1.0, NEAREST / rivals) if rivals else 1.0
    return {step.id: 1.0 for step in steps} | {step.id: share for step in near}


def aloud(line: str) -> None:
    """Print at once, into a log too."""
    print(line, flush=True)


class Runner:
    """One run of the steps in their order."""

    def __init__(self, work: Work, steps: list[Step], jobs: int, hours: float | None = None,
                 keep_going: bool = True, say: Callable[[str], None] = aloud,
                 tidy: Callable[[set[str]], None] = lambda pending: None) -> None:  # fmt: skip
        self.work, self.steps, self.jobs, self.say, self.tidy = work, steps, jobs, say, tidy
        self.keep_going = keep_going
        self.deadline = time.monotonic() + hours * 3600 if hours else None
        self.clock = Clock()
        self.state = dict.fromkeys((step.id for step in steps), "waiting")
        self.failures: dict[str, str] = {}
        self.change = threading.Condition()

    def run(self) -> bool:
        """Do all that can be done; whether every step that was begun succeeded."""
        done = state.done(self.work.out, self.steps)
        if done:
            self.say(f"{len(done)} of {len(self.steps)} steps were done before")
        unwanted = state.unwanted(self.work.out, self.steps) - done
        dropped = unwanted | carry.spared(self.steps, done | unwanted)
        self.state.update(dict.fromkeys(dropped, "dropped"))
        self.state.update(dict.fromkeys(done, "done"))
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        pinned = cores if len(cores) == self.jobs else [None] * self.jobs
        workers = [threading.Thread(target=self._worker, args=(core,), daemon=True)
                   for core in pinned]  # fmt: skip
        for worker in workers:
            worker.start()
        for worker in workers:
            while worker.is_alive():
                worker.join(0.5)
        self._summary()
        return not self.failures

    def _worker(self, core: int | None) -> None:
        self.work.worker.core = core
        while (step := self._take()) is not None:
            start = time.monotonic()
            try:
                perform(self.work, step)
                failure = ""
            except StepFailed as error:
                failure = str(error)
            except Exception as error:  # a defect here: it must not end the other steps
                failure = f"{type(error).__name__}: {error}"
            self._finished(step, time.monotonic() - start, failure)

    def _take(self) -> Step | None:
        """The first step that can be done now; waits for one; None when there is no more."""
        with self.change:
            while True:
                if self.failures and not self.keep_going:
                    return None
                step = self._ready()
                if step is not None:
                    self.state[step.id] = "running"
                    return step
                if "running" not in self.state.values():
                    self.change.notify_all()
                    return None
                self.change.wait()

    def _ready(self) -> Step | None:
        for step in self.steps:
            if self.state[step.id] != "waiting":
                continue
            if any(self.state[need] not in SATISFIED for need in step.needs):
                continue
            try:
                if not applies(self.work, step):
                    self.state[step.id] = "dropped"
                    continue
            except (OSError, ValueError, KeyError) as error:
                self.state[step.id] = "failed"
                self.failures[step.id] = str(error)
                continue
            late = self.deadline is not None and (
                time.monotonic() + self.clock.expected(step) > self.deadline
            )
            if not late:
                return step
        return None

    def _finished(self, step: Step, seconds: float, failure: str) -> None:
        with self.change:
            self.state[step.id] = "failed" if failure else "done"
            settled = [s for s in self.state.values() if s in (*SATISFIED, "failed")]
            head = f"[{len(settled)}/{len(self.steps)}] {step.title}"
            if failure:
                self.failures[step.id] = failure
                self.say(f"{head}: FAILED: {failure}")
            else:
                self.clock.add(step, seconds)
                if step.kind == "nearest":
                    self._drop_unwanted()
                self.tidy(self.pending())
                self.say(f"{head} ... {seconds:.0f} s; about {duration(self.left())} left")
            self.change.notify_all()

    def _drop_unwanted(self) -> None:
        for name in state.unwanted(self.work.out, self.steps):
            if self.state[name] == "waiting":
                self.state[name] = "dropped"

    def pending(self) -> set[str]:
        """Ids of what is still to be run, or runs: what these need stays."""
        return {name for name, now in self.state.items() if now in ("waiting", "running")}

    def left(self) -> float:
        """Seconds until the end."""
        pending = self.pending()
        share = shares(self.steps, {name for name, now in self.state.items() if now == "done"})
        left = [step for step in self.steps if step.id in pending]
        return sum(share[step.id] * self.clock.expected(step) for step in left) / self.jobs

    def _summary(self) -> None:
        waiting = [step for step in self.steps if self.state[step.id] == "waiting"]
        blocked = [step for step in waiting if self._blocked(step)]
        for name, failure in self.failures.items():
            self.say(f"failed: {name}: {failure}")
        if blocked:
            self.say(f"{len(blocked)} steps wait for what failed")
        if len(waiting) > len(blocked):
            self.say(f"{len(waiting) - len(blocked)} steps are left; the same command goes on")

    def _blocked(self, step: Step) -> bool:
        by_id = {each.id: each for each in self.steps}
        return any(
            self.state[need] == "failed"
            or (self.state[need] == "waiting" and self._blocked(by_id[need]))
            for need in step.needs
        )


def unneeded(out: Path, steps: Iterable[Step], pending: Container[str] = ()) -> list[Path]:
    """Checkpoints of trainings whose every consumer has its result, or is not wanted.

    Args:
        out: the run's folder.
        steps: all that will ever be asked for.
        pending: ids of what is to be run, perhaps once more: the result of before does not count.
    """
    steps = list(steps)
    unwanted = state.unwanted(out, steps)
    settled = {step.id for step in steps if step.id not in pending
               and (step.id in unwanted or (out / step.result).exists())}  # fmt: skip
    consumers = defaultdict(list)
    for step in steps:
        for need in step.needs:
            consumers[need].append(step.id)
    found: list[Path] = []
    for step in steps:
        if step.kind in state.TRAININGS and settled.issuperset([step.id, *consumers[step.id]]):
            found += sorted((out / "runs" / step.id).glob("checkpoint*.pt"))
    return found


def tidy(out: Path, steps: Iterable[Step], pending: Container[str] = ()) -> None:
    """Delete these."""
    for path in unneeded(out, steps, pending):
        path.unlink(missing_ok=True)
