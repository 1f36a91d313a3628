"""A run of the tables in parts: fewer seeds first, on several machines."""

import dataclasses
import json
from pathlib import Path

from examples.ddtp.tables import __main__ as tables
from examples.ddtp.tables import budget as budgets
from examples.ddtp.tables import carry
from examples.ddtp.tables.budget import Budget
from examples.ddtp.tables.commands import Place
from examples.ddtp.tables.data import Sources
from examples.ddtp.tables.steps import Resources
from examples.ddtp.tables.work import Work

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
    (tmp_path / carry.EXPERIMENT).write_text(json.dumps({"asked": budgets.recorded(SMALL)}))
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
