"""What each kind of step does: run its commands, then write its result."""

from __future__ import annotations

import shlex
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from examples.ddtp.tables import commands, data, experiment, logs, process, results
from examples.ddtp.tables.budget import Budget
from examples.ddtp.tables.commands import Place
from examples.ddtp.tables.files import read_json, write_json, write_text
from examples.ddtp.tables.steps import NEAREST, Resources, Step, System

FINISHED = "done training in"  # fairseq-train's last words


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


def perform(work: Work, step: Step) -> None:
    """Do a step."""
    try:
        ACTIONS[step.kind](work, step)
    except (ValueError, OSError, KeyError) as error:
        raise StepFailed(f"{type(error).__name__}: {error}") from error


def applies(work: Work, step: Step) -> bool:
    """Whether a step is still wanted, now that what it needs is done."""
    args = step.args
    if args.get("near") and f"{args['method']}.{args['variant']}" not in read_json(
        work.out / "nearest.json"
    ):
        return False
    target = args.get("selection", args.get("rate")) == "target" and args["seed"] > 1
    if not target:
        return True
    same = work.chosen(step, "target") == work.chosen(step, "source")
    return not same if step.kind == "stage2" else same or "training" in args


def _data(work: Work, step: Step) -> None:
    data.prepare(work.place, work.budget, work.sources, step.args["name"], work.call)


def _experiment(work: Work, step: Step) -> None:
    written = experiment.describe(work.place, work.budget, work.have)
    write_json(work.out / step.result, written)


def _components(work: Work, step: Step) -> None:
    kind = step.args["components"]
    command = commands.components(work.place, work.budget, kind)
    work.place.components(kind).parent.mkdir(exist_ok=True)
    work.call(command, work.out / "logs" / f"components.{kind}.log")


def checkpoint(work: Work, training: str) -> Path:
    """The last checkpoint of a training that is done."""
    path = work.out / "runs" / training / "checkpoint_last.pt"
    if not path.exists():
        raise StepFailed(f"{path} is gone; remove {path.parent} to train it again")
    return path


def _train(work: Work, step: Step, command: list[str]) -> None:
    """A training that goes on from its last checkpoint if it was cut short."""
    folder = work.out / "runs" / step.id
    folder.mkdir(parents=True, exist_ok=True)
    log, spent_file = folder / "train.log", folder / "seconds"
    spent = float(spent_file.read_text()) if spent_file.exists() else 0.0
    ended = log.exists() and FINISHED in log.read_text(errors="replace")
    peak = 0.0
    if not (ended and (folder / "checkpoint_last.pt").exists()):
        usage = work.call(
            command, log, beat=lambda seconds: write_text(spent_file, f"{spent + seconds:.1f}")
        )
        spent, peak = spent + usage.seconds, usage.peak_mib
    for path in folder.glob("checkpoint*.pt"):
        if path.name != "checkpoint_last.pt":
            path.unlink()
    told = {"command": work.words(command), "seconds": round(spent, 1)}
    write_json(folder / "done.json", told | {"peak_mib": round(peak), "threads": work.threads})


def _system(step: Step) -> System:
    return System(step.args["method"], step.args["variant"])


def _stage1(work: Work, step: Step) -> None:
    folder = work.out / "runs" / step.id
    _train(work, step, commands.stage1(work.place, work.budget, _system(step), folder,
                                       step.args["seed"]))  # fmt: skip


def _stage2(work: Work, step: Step) -> None:
    args, system = step.args, _system(step)
    rate = args["rate"] if args.get("choose") else work.chosen(step, args["rate"])
    stage1 = next((need for need in step.needs if need.startswith("stage1/")), None)
    begun = (work.out / "runs" / step.id / "checkpoint_last.pt").exists()
    start = None
    if stage1 is not None:
        start = work.out / "runs" / stage1 / "checkpoint_last.pt"
        if not begun:
            checkpoint(work, stage1)
    choose = bool(args.get("choose"))
    train = args["train"]
    valid = work.budget.langs if choose and train == ("en_XX",) and (
        args["setting"] == "zero-shot") else train  # fmt: skip
    command = commands.stage2(
        work.place, work.budget, system, work.out / "runs" / step.id, rate=rate, seed=args["seed"],
        updates=args["updates"], data=args["data"], train=train, valid=valid, rouge=choose,
        start=start,
    )  # fmt: skip
    _train(work, step, command)


def _select(work: Work, step: Step) -> None:
    source = step.args["source"]
    scores = {}
    for training, rate in zip(step.args["trainings"], work.budget.grid, strict=True):
        log = work.out / "runs" / training / "train.log"
        scores[rate] = logs.validation(log.read_text(encoding="utf-8", errors="replace"))
    found = next(iter(scores.values()))
    targets = [lang for lang in found if lang not in source] or list(source)
    write_json(work.out / step.result, {"source": logs.choose(scores, source),
                                        "target": logs.choose(scores, targets),
                                        "validation": scores})  # fmt: skip


def _training(work: Work, step: Step) -> str:
    """The training that a cell's outputs come from."""
    given = step.args.get("training")
    if given is not None:
        return str(given)
    where = step.args.get("chosen_in", "zero-shot")
    rate = work.chosen(step, step.args["selection"])
    return f"stage2/{where}/{_system(step).name}/s1.{rate}"


def _cell(work: Work, step: Step) -> None:
    args = step.args
    if args["selection"] == "target" and work.chosen(step, "target") == work.chosen(step, "source"):
        twin = work.out / step.result.replace(".target.json", ".source.json")
        write_json(work.out / step.result, {**read_json(twin), "selection": "target"})
        return
    training = _training(work, step)
    folder, raw = work.out / "runs" / step.id, work.out / "raw" / args["data"]
    if not (raw / f"{args['lang']}.test.tgt").exists():
        raw = work.out / "raw" / "zero-shot"
    folder.mkdir(parents=True, exist_ok=True)
    log, took = folder / "generate.log", folder / "generate.json"
    generate = commands.generate(work.place, work.budget, work.out / "runs" / training /
                                 "checkpoint_last.pt", args["data"], args["lang"],
                                 args["task"])  # fmt: skip
    if not (took.exists() and log.exists()):
        checkpoint(work, training)
        partial = folder / "generate.partial"
        usage = work.call(generate, partial, stderr=folder / "generate.err")
        partial.replace(log)
        write_json(took, {"seconds": round(usage.seconds, 1), "peak_mib": round(usage.peak_mib)})
    score = commands.score(work.budget, log, raw, args["lang"], folder / "score.json")
    work.call(score, folder / "score.txt", stderr=folder / "score.err")
    written = [work.words(generate), work.words(score)]
    write_json(work.out / step.result,
               results.cell(work.out, work.budget, step, training, raw, written))  # fmt: skip


def _measures(work: Work, step: Step) -> None:
    """`laft tsne`; of LAFT itself with the figure, of controls the numbers alone."""
    main = step.args["variant"] == "main"
    training = (
        f"stage2/zero-shot/laft.main/s1.{work.chosen(step, 'source')}" if main else step.needs[-1]
    )
    folder = work.out / "runs" / step.id
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "figure2.json"
    command = commands.measures(work.place, work.budget, checkpoint(work, training), report,
                                draw=main)  # fmt: skip
    work.call(command, folder / "tsne.log")
    measures = results.without_folders(read_json(report), work.words(command))
    if main:
        shutil.copyfile(report.with_suffix(".png"), work.out / "results" / "figure2.png")
        write_json(work.out / "results" / "figure2.json", measures)
    control = _system(step).control
    write_json(work.out / step.result, {
        "format": "laft-representations/1", "variant": step.args["variant"],
        "removal": results.removal(control), "measures": measures})  # fmt: skip


def _nearest(work: Work, step: Step) -> None:
    cells = [read_json(work.out / "results" / f"{cell.removeprefix('cell/')}.json")
             for cell in step.args["cells"]]  # fmt: skip
    write_json(work.out / step.result, results.nearest(cells, NEAREST))


ACTIONS: dict[str, Callable[[Work, Step], None]] = {
    "data": _data,
    "experiment": _experiment,
    "components": _components,
    "stage1": _stage1,
    "stage2": _stage2,
    "select": _select,
    "cell": _cell,
    "measures": _measures,
    "nearest": _nearest,
}
