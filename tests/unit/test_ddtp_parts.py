"""A run of the tables in parts: fewer seeds or rows first, on several machines."""

import dataclasses
import json
import shutil
from pathlib import Path

from examples.ddtp.tables import __main__ as tables
from examples.ddtp.tables import actions, carry, runner, state
from examples.ddtp.tables import budget as budgets
from examples.ddtp.tables.budget import Budget
from examples.ddtp.tables.commands import Place
from examples.ddtp.tables.files import read_json, write_json, write_text
from examples.ddtp.tables.plan import plan
from examples.ddtp.tables.sources import Sources
from examples.ddtp.tables.steps import Resources, Step
from examples.ddtp.tables.work import Work
from tests import ddtp_text

EVERYTHING = Resources(("fr_XX",), ("fr_XX",), True, True)
SMALL = Budget(rows=("laft", "mbart_enc"), grid=("1e-3", "1e-4"), seeds=2, seeds_near=3)


def test_an_experiment_names_every_machine_once(tmp_path: Path) -> None:
    path = tmp_path / "experiment.json"
    path.write_text(json.dumps({"machine": "a, 2 cores", "rest": 1}))
    carry.name_machines(path, "b, 16 cores", "a, 2 cores; c, 4 cores")
    carry.name_machines(path, "b, 16 cores")
    written = {"machine": "a, 2 cores; b, 16 cores; c, 4 cores", "rest": 1}
    assert json.loads(path.read_text()) == written


def test_checkpoints_that_later_seeds_need_are_kept_by_a_run_of_fewer(tmp_path: Path) -> None:
    def of(budget: Budget) -> Work:
        place = Place(tmp_path, Path("backbone"), "laft_mbart_mini", cpu=True)
        return Work(budget, place, Sources(tmp_path, tmp_path), EVERYTHING)

    fewer = dataclasses.replace(SMALL, seeds=1, seeds_near=1)
    asked = {step.id for step in tables.everything(of(fewer))}
    (tmp_path / "results").mkdir()
    told = {"asked": budgets.recorded(SMALL), "backbone": {"fingerprint": "mark"}}
    (tmp_path / carry.EXPERIMENT).write_text(json.dumps(told))
    kept = {step.id for step in tables.everything(of(fewer))}
    assert kept == {step.id for step in tables.everything(of(SMALL))}
    assert "stage2/zero-shot/laft.main/s2.source" in kept - asked


def test_fewer_seeds_are_the_same_experiment_and_more_are_not() -> None:
    made = budgets.make("tiny", {})
    three = json.loads(json.dumps(budgets.recorded(made)))
    three |= {"seeds": 3, "seeds_near": 5, "control_seeds": 2}
    fewer = dataclasses.replace(made, seeds=1, seeds_near=1, control_seeds=1)
    assert budgets.first_difference(three, fewer) is None
    near = budgets.first_difference(three, dataclasses.replace(fewer, seeds_near=5))
    assert near is not None and "SEEDS_NEAR=1" in near
    more = dataclasses.replace(made, control_seeds=3)
    assert budgets.first_difference(three | {"seeds": 1}, more) == "CONTROL_SEEDS was 2, is now 3"


NEAR = Budget(rows=("laft", "mbart_full", "mbart_enc"), seeds=1, seeds_near=2, targets=("fr_XX",),
              variants=("main",), settings=("zero-shot",))  # fmt: skip


def scored(out: Path, budget: Budget, means: dict[str, float]) -> Step:
    """The step that finds the nearest rivals, with the cells that it reads."""
    (step,) = (each for each in plan(budget) if each.kind == "nearest")
    for name in step.args["cells"]:
        method = name.split("/")[-1].split(".")[0]
        cell = {"method": method, "variant": "main", "scores": {"rougeL": {"f": means[method]}}}
        write_json(out / "results" / f"{name.removeprefix('cell/')}.json", cell)
    return step


def test_nearest_rivals_are_found_in_a_new_folder(tmp_path: Path) -> None:
    means = {"laft": 30.0, "mbart_full": 10.0, "mbart_enc": 25.0}
    work = ddtp_text.work(tmp_path, Sources(tmp_path, tmp_path), NEAR)
    step = scored(tmp_path, NEAR, means)
    assert not state.is_done(tmp_path, step)
    write_json(tmp_path / "results/experiment.json", {"title": "x"})
    actions.perform(work, step)
    told = read_json(tmp_path / "results/experiment.json")
    assert told == {"title": "x", "nearest": ["mbart_enc.main", "mbart_full.main"]}
    found = read_json(tmp_path / "nearest.json")
    assert found == {"rivals": ["mbart_enc.main", "mbart_full.main"],
                     "cells": list(step.args["cells"])}  # fmt: skip
    assert state.is_done(tmp_path, step)


def test_nearest_rivals_are_found_anew_when_rows_are_added(tmp_path: Path) -> None:
    means = {"laft": 30.0, "mbart_full": 10.0, "mbart_enc": 25.0, "adapter": 20.0}
    work = ddtp_text.work(tmp_path, Sources(tmp_path, tmp_path), NEAR)
    few = scored(tmp_path, dataclasses.replace(NEAR, rows=("laft", "mbart_full")), means)
    path = tmp_path / "nearest.json"
    write_json(path, ["mbart_full.main"])  # as earlier versions wrote it
    assert not state.is_done(tmp_path, few)
    actions.perform(work, few)
    assert state.is_done(tmp_path, few)
    other = scored(tmp_path, dataclasses.replace(NEAR, rows=("laft", "mbart_enc")), means)
    assert not state.is_done(tmp_path, other)
    actions.perform(work, other)
    assert read_json(path)["rivals"] == ["mbart_enc.main", "mbart_full.main"]
    all_rows = scored(tmp_path, dataclasses.replace(NEAR, rows=tuple(means)), means)
    assert not state.is_done(tmp_path, all_rows)
    actions.perform(work, all_rows)
    assert read_json(path)["rivals"] == ["mbart_enc.main", "adapter.main", "mbart_full.main"]
    assert state.is_done(tmp_path, other)  # a run of fewer rows does not forget the others
    assert state.is_done(tmp_path, all_rows)
    near = Step("x", "cell", "", "x", args={"near": True, "method": "mbart_enc", "variant": "main",
                                            "seed": 2, "selection": "source"})  # fmt: skip
    assert actions.applies(work, near)
    far = dataclasses.replace(near, args={**near.args, "method": "tm_adv"})
    assert not actions.applies(work, far)


def test_what_is_left_to_choose_or_to_score_needs_no_checkpoint(tmp_path: Path) -> None:
    budget = dataclasses.replace(NEAR, rows=("mbart_full",), seeds_near=1, grid=("1e-3",))
    steps = plan(budget)
    for step in steps:
        write_text(tmp_path / step.result, "{}")
    every, training = {step.id for step in steps}, "stage2/zero-shot/mbart_full.main/s1.1e-3"
    cell = "cell/zero-shot/mbart_full.main.fr_XX.s1.source"
    missing = {"select/zero-shot/mbart_full.main", cell}
    for step in steps:
        if step.id in missing:
            (tmp_path / step.result).unlink()
    for name in ("generate.json", "generate.log"):
        write_text(tmp_path / "runs" / cell / name, "")
    assert state.done(tmp_path, steps) == every - missing - {training}  # whose outputs are they?
    write_text(tmp_path / "runs" / cell / "training", state.mark(tmp_path / "runs" / training))
    assert state.done(tmp_path, steps) == every - missing


def test_what_is_new_in_the_plan_gets_its_checkpoint_back(tmp_path: Path) -> None:
    """Stage 1 of a control was deleted after its one seed; now its second needs it."""
    budget = Budget(rows=("laft",), settings=("zero-shot", "controls"), controls=("no-removal",),
                    grid=("1e-3",), stage1_grid=("1e-3",), seeds=2, seeds_near=2,
                    targets=("fr_XX",))  # fmt: skip
    steps = plan(budget, Resources())
    first = "stage1/laft.no-removal/s1.chosen"
    later = "stage2/zero-shot/laft.no-removal/s2.source"
    new = {later, "cell/zero-shot/laft.no-removal.fr_XX.s2.fixed"}
    for step in steps:
        if step.id not in new:
            write_text(tmp_path / step.result, "{}")
    done = state.done(tmp_path, steps)
    assert {step.id for step in steps} - done == {*new, first}
    write_text(tmp_path / "runs" / first / "checkpoint_last.pt", "")
    assert first in state.done(tmp_path, steps)
    runner.tidy(tmp_path, steps)
    assert (tmp_path / "runs" / first / "checkpoint_last.pt").exists()
    for step in steps:
        write_text(tmp_path / step.result, "{}")
    shutil.rmtree(tmp_path / "runs")
    for step in steps:
        write_text(tmp_path / step.result, "{}")
    assert state.done(tmp_path, steps) == {step.id for step in steps}
