"""The tables' plan: several targets with pairs of their own, seeds of the judged controls."""

import dataclasses
import json
from pathlib import Path

import pytest

from examples.ddtp.tables import budget as budgets
from examples.ddtp.tables import commands
from examples.ddtp.tables.budget import Budget
from examples.ddtp.tables.controls import CONTROLS, JUDGED
from examples.ddtp.tables.plan import plan
from examples.ddtp.tables.steps import Planner, Resources, Step
from laft_fairseq.tables import comparisons

TWO = Resources(("fr_XX", "de_DE"), ("fr_XX", "de_DE"), False, True)
LAFT = Budget(rows=("laft",), seeds=3, seeds_near=3)


def steps(budget: Budget, have: Resources = TWO) -> dict[str, Step]:
    return {step.id: step for step in plan(budget, have)}


@pytest.mark.parametrize(("setting", "kind"), [("translate-train", "translated"),
                                               ("human-translation-train", "oracle"),
                                               ("few-shot-10", "few-shot-10")])  # fmt: skip
def test_a_cell_comes_from_a_training_on_its_own_language(setting: str, kind: str) -> None:
    found = steps(Budget(targets=("fr_XX", "de_DE")))
    cells = [step for step in found.values() if step.id.startswith(f"cell/{setting}/")]
    assert {cell.args["lang"] for cell in cells} == {"fr_XX", "de_DE"}
    for cell in cells:
        training = found[cell.args["training"]]
        assert training.args["train"] == ("en_XX", cell.args["lang"])
        assert training.args["data"] == cell.args["data"] == f"{kind}.{cell.args['lang']}"
        assert cell.args["lang"] in training.title
    assert len({cell.args["training"] for cell in cells}) == len(cells)


@pytest.mark.parametrize(
    ("targets", "folder"),
    [
        (("fr_XX", "zh_CN"), "examples/ddtp/data"),
        (("zh_CN",), "examples/ddtp/data"),
        (("de_DE",), "ddtp"),
    ],
)
def test_the_retrieval_gate_is_read_for_any_targets(targets: tuple[str, ...], folder: str) -> None:
    """On the shipped descriptions where they have the languages, else on the run's own."""
    budget = Budget(rows=("laft",), targets=targets)
    assert "retrieval" in steps(budget)
    assert "retrieval" not in steps(budget, dataclasses.replace(TWO, card=False))
    place = commands.Place(Path("out"), Path("mbart"), "laft_mbart", cpu=True)
    command = commands.retrieval(place, budget, Path("ddtp"), Path("retrieval.json"))
    assert command[command.index("--ddtp") + 1] == folder
    assert command[command.index("--langs") + 1] == ",".join(("en_XX", *targets))


def test_another_step_of_the_same_name_is_refused() -> None:
    planner = Planner(Budget())
    step = Step("a", "cell", "", "a.json", args={"lang": "fr_XX"})
    planner.add(step)
    planner.add(dataclasses.replace(step))
    with pytest.raises(ValueError, match="a is planned twice, and not alike"):
        planner.add(dataclasses.replace(step, args={"lang": "de_DE"}))


def test_every_preset_plans_each_step_once() -> None:
    for name in budgets.PRESETS:
        for seeds in ({}, {"control_seeds": "2", "stage1_seeds": "2", "target_seeds": "2"}):
            found = plan(budgets.make(name, {"targets": "fr_XX de_DE", **seeds}), TWO)
            assert len({step.id for step in found}) == len(found)


def controls(found: dict[str, Step]) -> dict[str, set[int]]:
    """The seeds that each control is planned with."""
    seeds: dict[str, set[int]] = {}
    for step in found.values():
        if step.kind == "cell" and step.args["variant"] in CONTROLS:
            assert step.args["selection"] == "fixed"
            seeds.setdefault(step.args["variant"], set()).add(step.args["seed"])
    return seeds


def test_judged_controls_have_as_many_seeds_as_the_rows() -> None:
    assert set(JUDGED) == set(comparisons.JUDGED)
    found = steps(LAFT)
    others = [name for name in CONTROLS if name not in JUDGED]
    expected = {name: {1, 2, 3} for name in JUDGED} | {name: {1} for name in others}
    assert controls(found) == expected
    measured = [step.id for step in found.values() if step.kind == "measures"]
    assert sorted(measured) == sorted(f"measures/{name}" for name in ("main", *CONTROLS))
    order = list(found)
    for seed, later in ((2, 3), (3, None)):
        own = order.index(f"cell/zero-shot/laft.no-removal.fr_XX.s{seed}.fixed")
        assert order.index(f"cell/zero-shot/laft.main.zh_CN.s{seed}.target") < own
        if later:
            assert own < order.index(f"stage2/zero-shot/laft.main/s{later}.source")


def test_the_other_controls_keep_control_seeds() -> None:
    found = controls(steps(dataclasses.replace(LAFT, control_seeds=2)))
    assert found["no-fusion"] == {1, 2} and found["no-removal"] == {1, 2, 3}
    one = dataclasses.replace(LAFT, controls=("no-removal", "k-1"))
    assert controls(steps(one)) == {"no-removal": {1, 2, 3}, "k-1": {1}}
    assert controls(steps(dataclasses.replace(LAFT, settings=("zero-shot",)))) == {}
    later = controls(steps(dataclasses.replace(one, settings=("controls",))))
    assert later == controls(steps(one))


@pytest.mark.parametrize(("seeds", "starts"), [(1, [1, 1, 1]), (2, [1, 2, 2]), (3, [1, 2, 3])])
def test_a_controls_later_seeds_start_from_the_last_stage_1(seeds: int, starts: list[int]) -> None:
    found = steps(dataclasses.replace(LAFT, stage1_seeds=seeds))
    for name in JUDGED:
        for seed, start in zip((1, 2, 3), starts, strict=True):
            training = found[f"stage2/zero-shot/laft.{name}/s{seed}.source"]
            base = f"stage1/laft.{name}/s{start}"
            assert training.args["stage1"] == base
            assert f"{base}.chosen" in training.needs
            assert found[f"{base}.chosen"].args["seed"] == start


def test_a_run_that_was_recorded_before_is_still_the_same_experiment() -> None:
    path = Path(__file__).parents[2] / "docs" / "results" / "default" / "results"
    asked = json.loads((path / "experiment.json").read_text(encoding="utf-8"))["asked"]
    budget = budgets.make("default", {"supervised_updates": "600"})
    assert budgets.first_difference(asked, budget) is None
    assert set(budgets.recorded(budget)) == set(asked)
