"""What each kind of step does: run its commands, then write its result."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from examples.ddtp.tables import (
    carry,
    cells,
    commands,
    data,
    experiment,
    guard,
    logs,
    results,
    state,
)
from examples.ddtp.tables.files import read_json, write_json, write_text
from examples.ddtp.tables.steps import CHOSEN, NEAREST, Step
from examples.ddtp.tables.work import StepFailed, Work, checkpoint, system_of
from examples.mend_checkpoints import mend

FINISHED = "done training in"  # fairseq-train's last words


def perform(work: Work, step: Step) -> None:
    """Do a step."""
    try:
        ACTIONS[step.kind](work, step)
    except (ValueError, OSError, KeyError) as error:
        raise StepFailed(f"{type(error).__name__}: {error}") from error


def applies(work: Work, step: Step) -> bool:
    """Whether a step is still wanted, now that what it needs is done."""
    args = step.args
    if args.get("near"):
        near = read_json(work.out / "nearest.json")["rivals"]
        if f"{args['method']}.{args['variant']}" not in near:
            return False
    if step.kind in ("stage1", "stage2") and args["rate"] not in work.left_of_grid(step):
        return False
    target = args.get("selection", args.get("rate")) == "target" and args["seed"] > 1
    if not target:
        return True
    same = work.chosen(step, "target") == work.chosen(step, "source")
    return not same if step.kind == "stage2" else same or "training" in args


def _data(work: Work, step: Step) -> None:
    name, written = step.args["name"], work.out / carry.EXPERIMENT
    data.prepare(work.place, work.budget, work.sources, name, work.call)
    if name == "zero-shot" and written.exists():
        text = carry.text_digest(work.out / "raw" / name)
        if read_json(written).get("text", text) != text:
            (work.out / step.result).unlink()
            raise StepFailed(f"{written} is of other text than DDTP and MONO; give the same")
        experiment.renew(work.place, work.budget, work.have, work.sources, verified=True)


def _experiment(work: Work, step: Step) -> None:
    written = experiment.describe(work.place, guard.asked(work), work.have, work.sources)
    write_json(work.out / step.result, written)


def _components(work: Work, step: Step) -> None:
    kind = step.args["components"]
    command = commands.components(work.place, work.budget, kind)
    work.place.components(kind).parent.mkdir(exist_ok=True)
    work.call(command, work.out / "logs" / f"components.{kind}.log")


def _train(work: Work, step: Step, command: list[str], **more: Any) -> None:
    """A training that goes on from its last checkpoint if it was cut short.

    Of one that did, the seconds count what was lost and the memory its last part alone, so its
    cost is marked; one that had saved nothing starts over, and nothing of it counts.
    """
    folder = work.out / "runs" / step.id
    folder.mkdir(parents=True, exist_ok=True)
    mend(folder)
    log, spent_file, done = folder / "train.log", folder / "seconds", folder / "done.json"
    resumed = (folder / "checkpoint_last.pt").exists()
    if not resumed:
        for stale in (done, log, spent_file):
            stale.unlink(missing_ok=True)
    spent = float(spent_file.read_text()) if spent_file.exists() else 0.0
    peak = None
    if not (resumed and log.exists() and FINISHED in log.read_text(errors="replace")):
        usage = work.call(
            command, log, beat=lambda seconds: write_text(spent_file, f"{spent + seconds:.1f}")
        )
        spent, peak = spent + usage.seconds, round(usage.peak_mib)
    for path in folder.glob("checkpoint*.pt"):
        if path.name != "checkpoint_last.pt":
            path.unlink()
    told = {"command": work.words(command), "seconds": round(spent, 1), "peak_mib": peak,
            "threads": work.threads}  # fmt: skip
    write_json(done, told | more | ({"interrupted": True} if resumed else {}))


def _stage1(work: Work, step: Step) -> None:
    folder, system, rate = work.out / "runs" / step.id, system_of(step), step.args["rate"]
    rate = work.stage1_rate(system) if rate == CHOSEN else rate
    _train(work, step, commands.stage1(work.place, work.budget, system, folder, rate,
                                       step.args["seed"]))  # fmt: skip


def _select1(work: Work, step: Step) -> None:
    losses = {}
    for training, rate in zip(step.args["trainings"], work.budget.stage1_grid, strict=True):
        log = work.out / "runs" / training / "train.log"
        losses[rate] = logs.held_out_loss(log.read_text(encoding="utf-8", errors="replace"))
    write_json(work.out / step.result, {CHOSEN: logs.lowest(losses), "validation": losses})


def _stage2(work: Work, step: Step) -> None:
    args, system = step.args, system_of(step)
    rate = args["rate"] if args.get("choose") else work.chosen(step, args["rate"])
    stage1 = work.stage1(step)
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
    _train(work, step, command, stage1=stage1)


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
    words = work.words(command)
    work.call([*command, "--caption-command", words], folder / "tsne.log")
    measures = results.without_folders(read_json(report), words)
    if main:
        shutil.copyfile(report.with_suffix(".png"), work.out / "results" / "figure2.png")
    control = system_of(step).control
    write_json(work.out / step.result, {
        "format": "laft-representations/1", "variant": step.args["variant"],
        "removal": results.removal(control), "measures": measures})  # fmt: skip


def _retrieval(work: Work, step: Step) -> None:
    command = commands.retrieval(work.place, work.budget, work.sources.ddtp, work.out / step.result)
    work.call(command, work.out / "logs" / "retrieval.log")


def _nearest(work: Work, step: Step) -> None:
    """The rivals among all cells that have been asked about: a call may plan fewer rows."""
    names = list(dict.fromkeys([*state.compared(work.out / step.result), *step.args["cells"]]))
    found = [read_json(work.out / "results" / f"{cell.removeprefix('cell/')}.json")
             for cell in names]  # fmt: skip
    rivals = results.nearest(found, NEAREST)
    write_json(work.out / step.result, {"rivals": rivals, "cells": names})
    experiment.name_nearest(work.out)


ACTIONS: dict[str, Callable[[Work, Step], None]] = {
    "data": _data,
    "experiment": _experiment,
    "components": _components,
    "stage1": _stage1,
    "select1": _select1,
    "stage2": _stage2,
    "select": _select,
    "cell": cells.perform,
    "measures": _measures,
    "nearest": _nearest,
    "retrieval": _retrieval,
}
