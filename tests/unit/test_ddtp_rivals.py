"""Further seeds are for LAFT's nearest rivals: those of other systems are settled, once found."""

import dataclasses
from pathlib import Path

from examples.ddtp.tables import listing, runner, state
from examples.ddtp.tables.budget import Budget
from examples.ddtp.tables.files import write_json, write_text
from examples.ddtp.tables.plan import plan
from examples.ddtp.tables.steps import Resources, Step

ROWS = ("laft", "mbart_full", "mbart_enc", "mbart_enc_top2", "adapter")
BUDGET = Budget(rows=ROWS, seeds=1, seeds_near=2, targets=("fr_XX",), grid=("1e-3",),
                stage1_grid=("1e-3",), settings=("zero-shot",))  # fmt: skip
RIVALS = ["mbart_full.stage1", "mbart_enc.stage1", "adapter.stage1"]
FAR = "mbart_enc_top2.stage1"


def finished(out: Path, steps: list[Step]) -> set[str]:
    """All that a run to the end leaves; the ids of what it does not do."""
    (nearest,) = (step for step in steps if step.kind == "nearest")
    far = {step.id for step in steps if step.args.get("near")
           and f"{step.args['method']}.{step.args['variant']}" not in RIVALS}  # fmt: skip
    for step in steps:
        if step.id not in far:
            write_text(out / step.result, "{}")
        if step.kind in state.TRAININGS and step.id not in far:
            write_text(out / "runs" / step.id / "checkpoint_last.pt", "")
    write_json(out / nearest.result, {"rivals": RIVALS, "cells": list(nearest.args["cells"])})
    return far


def stages_1(checkpoints: list[Path]) -> set[str]:
    """The systems whose stage 1 these are."""
    return {path.parts[-3] for path in checkpoints if path.parts[-4] == "stage1"}


def test_nothing_is_left_when_the_rivals_have_their_seeds(tmp_path: Path) -> None:
    steps = plan(BUDGET)
    far = finished(tmp_path, steps)
    assert far
    assert state.unwanted(tmp_path, steps) == far
    assert listing.lines(tmp_path, steps, 2)[-1].endswith("of them done; nothing is left")
    assert FAR in stages_1(runner.unneeded(tmp_path, steps))  # for no seed that is still to come


def test_no_rivals_are_known_before_they_are_found(tmp_path: Path) -> None:
    steps = plan(BUDGET)
    finished(tmp_path, steps)
    (nearest,) = (step for step in steps if step.kind == "nearest")
    (tmp_path / nearest.result).unlink()
    assert state.unwanted(tmp_path, steps) == set()
    assert FAR not in stages_1(runner.unneeded(tmp_path, steps))


def test_a_stage_1_of_a_further_seed_waits_for_the_rivals_too() -> None:
    steps = {step.id: step for step in plan(dataclasses.replace(BUDGET, stage1_seeds=2))}
    further = [step for name, step in steps.items() if name.endswith("stage1/s2.chosen")
               and step.kind == "stage1"]  # fmt: skip
    assert len(further) == len(ROWS) - 1
    for step in further:
        assert step.args["near"] and "nearest" in step.needs
    assert "near" not in steps["stage1/laft.main/s2.chosen"].args


def test_questions_may_share_a_stage_1_of_further_seeds() -> None:
    more = dataclasses.replace(BUDGET, rows=(*ROWS, "tm_adv"), seeds_near=3, stage1_seeds=3,
                               question_seeds=2, settings=("zero-shot", "questions"),
                               targets=("fr_XX", "zh_CN"))  # fmt: skip
    steps = {step.id: step for step in plan(more, Resources(questions=True))}
    assert "near" not in steps["stage1/mbart_enc.stage1/s2.chosen"].args
    assert steps["stage1/mbart_enc.stage1/s3.chosen"].args["near"]


def test_what_is_trained_again_keeps_what_it_starts_from(tmp_path: Path) -> None:
    """Its result of before is there, and does not make it done."""
    steps = [Step("stage1/t", "stage1", "", "t.json"),
             Step("stage2/u", "stage2", "", "u.json", ("stage1/t",))]  # fmt: skip
    for name in ("t.json", "u.json", "runs/stage1/t/checkpoint_last.pt"):
        write_text(tmp_path / name, "")
    runner.tidy(tmp_path, steps, {"stage2/u"})
    assert (tmp_path / "runs/stage1/t/checkpoint_last.pt").exists()
    runner.tidy(tmp_path, steps, set())
    assert not (tmp_path / "runs/stage1/t/checkpoint_last.pt").exists()


def test_every_training_waits_for_its_data() -> None:
    """Even where the experiment was taken over, and so is there before them."""
    for step in plan(Budget()):
        if step.kind in state.TRAININGS:
            assert any(need.startswith("data/") for need in step.needs), step.id


def test_once_found_a_rivals_seeds_count_whole() -> None:
    steps = plan(BUDGET)
    near = [step for step in steps if step.args.get("near")]
    rivals = {(step.args["method"], step.args["variant"]) for step in near}
    before, after = runner.shares(steps, ()), runner.shares(steps, {"nearest"})
    assert {before[step.id] for step in near} == {3 / len(rivals)}
    assert set(after.values()) == {1.0}
