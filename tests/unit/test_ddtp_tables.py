"""The tables' plan, choice of the rate, budget and scheduling, against what is written out here."""

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from examples.ddtp.tables import actions, carry, commands, logs, process, results, runner
from examples.ddtp.tables import budget as budgets
from examples.ddtp.tables.budget import Budget
from examples.ddtp.tables.commands import Place
from examples.ddtp.tables.controls import CONTROLS
from examples.ddtp.tables.plan import plan
from examples.ddtp.tables.sources import Sources
from examples.ddtp.tables.steps import Resources, Step, System
from examples.ddtp.tables.work import Work
from laft_fairseq.method.systems import METHODS

ROOT = Path(__file__).parents[2]
EVERYTHING = Resources(("fr_XX",), ("fr_XX",), True, True)
SMALL = Budget(rows=("laft", "mbart_enc"), grid=("1e-3", "1e-4"), seeds=2, seeds_near=3)
PLACE = Place(Path("out"), Path("backbone"), "laft_mbart_mini", cpu=True)


def ids(budget: Budget = SMALL, have: Resources = EVERYTHING) -> list[str]:
    return [step.id for step in plan(budget, have)]


def test_a_step_comes_after_what_it_needs_and_once() -> None:
    for budget in (Budget(), SMALL, *(budgets.make(name, {}) for name in budgets.PRESETS)):
        seen: set[str] = set()
        steps = plan(budget, EVERYTHING)
        for step in steps:
            assert set(step.needs) <= seen, step.id
            assert step.id not in seen
            seen.add(step.id)
        assert len({step.result for step in steps}) == len(steps)
        assert plan(budget, EVERYTHING) == steps


def test_every_row_has_every_variant_seed_language_and_choice() -> None:
    assert set(budgets.ROWS) == set(METHODS)
    found = set(ids(Budget()))
    for row in budgets.ROWS:
        for variant in ("main",) if row == "laft" else ("main", "stage1"):
            for lang in ("fr_XX", "zh_CN"):
                for seed in (1, 2, 3, 4, 5):
                    for choice in ("source", "target"):
                        name = f"cell/zero-shot/{row}.{variant}.{lang}.s{seed}.{choice}"
                        assert name in found
    assert not [name for name in found if ".s6." in name]
    for name in CONTROLS:
        assert f"cell/zero-shot/laft.{name}.zh_CN.s1.fixed" in found
        assert f"measures/{name}" in found


def test_the_whole_grid_of_every_row_is_tried_and_on_seed_one_alone() -> None:
    rates = {}
    for step in plan(Budget(settings=("zero-shot",)), EVERYTHING):
        if step.kind == "stage2" and step.args.get("choose"):
            assert step.args["seed"] == 1
            system = (step.args["method"], step.args["variant"])
            rates.setdefault(system, []).append(step.args["rate"])
    assert len(rates) == 15
    assert set(map(tuple, rates.values())) == {Budget().grid}


def test_stage_1_tries_its_grid_once_and_controls_take_lafts_rate() -> None:
    budget = Budget(rows=("laft", "mbart_enc"), stage1_grid=("1e-3", "3e-4"), stage1_seeds=2)
    steps = {step.id: step for step in plan(budget, EVERYTHING)}
    trained = [name for name in steps if name.startswith("stage1/")]
    for system in ("laft.main", "mbart_enc.stage1"):
        own = [f"stage1/{system}/s1.1e-3", f"stage1/{system}/s1.3e-4"]
        assert set(own) <= set(trained)
        assert steps[f"select/stage1/{system}"].needs == tuple(own)
        later = steps[f"stage2/zero-shot/{system}/s2.source"]
        assert f"stage1/{system}/s2.chosen" in later.needs
    assert not [name for name in trained if "laft.projection" in name and "chosen" not in name]
    assert "select/stage1/laft.main" in steps["stage1/laft.projection/s1.chosen"].needs
    assert "stage1/mbart_enc.main/s1.1e-3" not in steps


def test_the_lowest_loss_on_held_out_text_chooses_stage_1() -> None:
    assert logs.held_out_loss(LOG) == 6.5
    assert logs.held_out_loss("") is None
    assert logs.lowest({"1e-3": 4.0, "3e-4": 3.5, "1e-4": 3.5}) == "3e-4"
    with pytest.raises(ValueError, match="no validation loss at rate 3e-4"):
        logs.lowest({"1e-3": 4.0, "3e-4": None})


def test_the_chosen_rate_of_stage_1_is_the_one_that_is_used(tmp_path: Path) -> None:
    work = Work(SMALL, dataclasses.replace(PLACE, out=tmp_path), Sources(tmp_path, tmp_path),
                Resources())  # fmt: skip
    folder = tmp_path / "select" / "stage1"
    folder.mkdir(parents=True)
    for name, rate in (("laft.main", "3e-4"), ("mbart_enc.stage1", "1e-3")):
        (folder / f"{name}.json").write_text(json.dumps({"chosen": rate}))
    steps = {step.id: step for step in plan(SMALL, EVERYTHING)}
    read = {
        name: work.stage1(steps[f"stage2/zero-shot/{name}"])
        for name in ("laft.main/s2.source", "mbart_enc.stage1/s1.1e-4", "mbart_enc.main/s1.1e-4",
                     "laft.projection/s1.source")
    }  # fmt: skip
    assert read == {
        "laft.main/s2.source": "stage1/laft.main/s1.3e-4",
        "mbart_enc.stage1/s1.1e-4": "stage1/mbart_enc.stage1/s1.1e-3",
        "mbart_enc.main/s1.1e-4": None,
        "laft.projection/s1.source": "stage1/laft.projection/s1.chosen",
    }
    assert actions.applies(work, steps["stage1/laft.main/s1.3e-4"])
    assert not actions.applies(work, steps["stage1/laft.main/s1.1e-3"])


def test_trainings_behind_finished_results_are_spared() -> None:
    steps = [Step("data/d", "data", "", "d"), Step("stage2/a", "stage2", "", "a", ("data/d",)),
             Step("stage2/b", "stage2", "", "b", ("data/d",)),
             Step("select/x", "select", "", "x", ("stage2/a", "stage2/b")),
             Step("cell/a", "cell", "", "ca", ("select/x", "stage2/a")),
             Step("cell/b", "cell", "", "cb", ("select/x", "stage2/b"))]  # fmt: skip
    every = {step.id for step in steps}
    assert carry.spared(steps, set()) == set()
    assert carry.spared(steps, every - {"data/d", "stage2/a", "stage2/b"}) == {
        "data/d", "stage2/a", "stage2/b"
    }  # fmt: skip
    assert carry.spared(steps, {"select/x", "cell/a"}) == {"stage2/a"}
    assert carry.spared(steps, {"data/d", "select/x", "stage2/b"}) == set()


def test_results_are_taken_over_and_nothing_else(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    names = ["results/experiment.json", "results/zero-shot/a.json", "select/zero-shot/x.json",
             "results/figure2.png", "results/gates.json", "runs/stage2/a/done.json"]  # fmt: skip
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    (out / "results" / "zero-shot").mkdir(parents=True)
    (out / "results" / "zero-shot" / "a.json").write_text("own")
    assert carry.take_over(source, out) == 3
    found = {p.relative_to(out).as_posix(): p.read_text() for p in out.rglob("*") if p.is_file()}
    assert found == {**{n: n for n in (names[0], *names[2:4])}, "results/zero-shot/a.json": "own"}
    assert carry.take_over(source, out) == 0


def test_the_most_valuable_comes_first() -> None:
    order = ids()
    first_of = [
        "experiment",
        "cell/zero-shot/mbart_enc.stage1.zh_CN.s1.source",
        "cell/translate-train/laft.main.fr_XX.s1.source",
        "cell/zero-shot/laft.no-removal.fr_XX.s1.fixed",
        "cell/questions/zero-shot/laft.main.zh_CN.s1.source",
        "cell/zero-shot/laft.main.fr_XX.s2.source",
        "cell/zero-shot/laft.main.fr_XX.s3.source",
        "cell/few-shot-10/laft.main.fr_XX.s1.source",
    ]
    places = [order.index(name) for name in first_of]
    assert places == sorted(places)
    trainings = [n for n, name in enumerate(order) if name.startswith(("stage1", "stage2"))]
    assert order.index("experiment") < min(trainings)


def test_what_is_not_at_hand_is_not_planned() -> None:
    order = ids(have=Resources())
    for word in ("translate", "questions", "few-shot", "supervised.fr_XX", "human"):
        assert not [name for name in order if word in name], word
    assert [name for name in ids() if "translate-test" in name] == []  # needs mbart_full


def test_rows_differ_in_the_method_and_the_adversary_alone() -> None:
    def line(system: System) -> list[str]:
        return commands.stage2(
            PLACE, SMALL, system, Path("f"), rate="1e-3", seed=2, updates=7, data="zero-shot",
            train=("en_XX",), valid=("en_XX",), rouge=False, start=None,
        )  # fmt: skip

    plain, other = line(System("mbart_full")), line(System("mbart_attn_qk"))
    assert [(a, b) for a, b in zip(plain, other, strict=True) if a != b] == [
        ("mbart_full", "mbart_attn_qk")
    ]
    adversarial = line(System("tm_adv"))
    assert set(adversarial) - set(plain) == {
        "tm_adv", "laft_adversarial", "--label-smoothing", "0.1", "--target-langs", "fr_XX,zh_CN",
        "--target-rows", "monolingual", "4096",
    }  # fmt: skip
    assert set(plain) - set(adversarial) == {"mbart_full", "cross_entropy", "2048"}
    control = line(System("laft", "no-fusion"))
    assert set(control) - set(line(System("laft"))) == {"--fusion-input", "none"}


def valid_line(**values: Any) -> str:
    return "2026-01-01 00:00:00 | INFO | valid | " + json.dumps(values)


LOG = "\n".join(
    [
        "2026-01-01 00:00:00 | INFO | fairseq_cli.train | {'no': 'json'}",
        '2026-01-01 | INFO | train_inner | {"epoch": 1, "loss": "9.5", "num_updates": "10"}',
        '2026-01-01 | INFO | train_inner | {"epoch": 1, "loss": "8.5", "num_updates": "20"}',
        '2026-01-01 | INFO | train_inner | {"epoch": 1, "lo',
        '2026-01-01 | INFO | train_inner | {"epoch": 1, "loss": "8.25", "num_updates": "20"}',
        '2026-01-01 | INFO | train_inner | {"epoch": 2, "loss": "nan", "num_updates": "30"}',
        valid_line(valid_loss="7", valid_rougeL_en_XX="1", valid_num_updates="20"),
        valid_line(valid_loss="6.5", valid_rougeL_en_XX="20.5", valid_rougeL_fr_XX="11",
                   valid_rougeL="15.75", valid_num_updates="30"),
        "2026-01-01 00:00:00 | INFO | valid | nothing to read",
    ]
)  # fmt: skip


def test_logs_are_read_with_their_broken_and_repeated_lines() -> None:
    assert logs.validation(LOG) == {"en_XX": 20.5, "fr_XX": 11.0}
    points = [(p["split"], p["update"], p["loss"]) for p in logs.curve(LOG, 2)]
    assert points == [
        ("train", 10, 9.5), ("train", 20, 8.25), ("valid", 20, 7.0), ("valid", 30, 6.5)
    ]  # fmt: skip


def test_source_and_target_choose_by_their_own_languages() -> None:
    scores = {
        "1e-3": {"en_XX": 20.0, "fr_XX": 15.0, "zh_CN": 1.0},
        "3e-4": {"en_XX": 19.0, "fr_XX": 9.0, "zh_CN": 9.0},
        "1e-4": {"en_XX": 20.0, "fr_XX": 0.0, "zh_CN": 0.0},
    }
    assert logs.choose(scores, ["en_XX"]) == "1e-3"
    assert logs.choose(scores, ["fr_XX", "zh_CN"]) == "3e-4"
    with pytest.raises(ValueError, match="no validation ROUGE-L in zh_CN at rate 1e-4"):
        logs.choose({**scores, "1e-4": {"en_XX": 50.0}}, ["zh_CN"])


def test_nearest_rivals_are_the_best_but_laft() -> None:
    means = {"laft": 30, "mbart_full": 10, "mbart_enc": 25, "adapter": 20, "tm_adv": 22}
    cells = [
        {"method": method, "variant": "main", "scores": {"rougeL": {"f": mean + off}}}
        for method, mean in means.items()
        for off in (-1, 1)
    ]
    assert results.nearest(cells, 3) == ["mbart_enc.main", "tm_adv.main", "adapter.main"]


def test_budget_reads_numbers_lists_and_says_what_differs() -> None:
    made = budgets.make("tiny", {"grid": "1e-2,1e-3", "pairs": "70", "test_items": "all"})
    assert (made.grid, made.pairs, made.test_items, made.beam) == (("1e-2", "1e-3"), 70, 0, 1)
    before = json.loads(json.dumps(budgets.recorded(made)))
    assert budgets.first_difference(before, made) is None
    assert budgets.first_difference(before, dataclasses.replace(made, rows=("laft",))) is None
    other = dataclasses.replace(made, stage2_updates=5)
    assert budgets.first_difference(before, other) == "STAGE2_UPDATES was 4, is now 5"
    refused = [
        ({"pairs": "x"}, "PAIRS=x"),
        ({"rows": "best"}, "best is none of"),
        ({"grid": "1e-3 fast"}, "fast"),
        ({"seeds": "9"}, "SEEDS_NEAR"),
    ]
    for wrong, words in refused:
        with pytest.raises(SystemExit, match=words):
            budgets.make("default", wrong)


class FakeRun:
    """A runner over made-up steps that take no time."""

    def __init__(self, out: Path, monkeypatch: pytest.MonkeyPatch, fail: str = "") -> None:
        self.out, self.done, self.lines, self.worker = out, [], [], threading.local()
        self.fail = fail
        monkeypatch.setattr(runner, "perform", self.perform)
        monkeypatch.setattr(runner, "applies", lambda work, step: step.id != "unwanted")

    def perform(self, work: Any, step: Step) -> None:
        if step.id == self.fail:
            raise runner.StepFailed("it broke")
        (self.out / step.result).touch()
        self.done.append(step.id)

    def run(self, steps: list[Step], **options: Any) -> bool:
        return runner.Runner(self, steps, 1, say=self.lines.append, **options).run()


def chain() -> list[Step]:
    needs = {"a": (), "b": ("a",), "c": ("b",), "d": (), "unwanted": ("d",), "e": ("unwanted",)}
    return [Step(name, "k", name, name, need, 10.0) for name, need in needs.items()]


def test_a_failure_stops_what_hangs_on_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = FakeRun(tmp_path, monkeypatch, fail="b")
    assert not run.run(chain())
    assert run.done == ["a", "d", "e"]
    assert "failed: b: it broke" in run.lines
    assert "1 steps wait for what failed" in run.lines
    again = FakeRun(tmp_path, monkeypatch)
    assert again.run(chain())
    assert again.done == ["b", "c"]


def test_nothing_is_begun_that_would_end_too_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [dataclasses.replace(chain()[0], kind="long", estimate=3600.0), chain()[3]]
    run = FakeRun(tmp_path, monkeypatch)
    assert run.run(steps, hours=0.5)
    assert run.done == ["d"]
    assert run.lines[-1] == "1 steps are left; the same command goes on"


def test_the_time_left_follows_what_was_measured() -> None:
    clock = runner.Clock()
    step = Step("x", "stage2", "x", "x", (), 100.0, {"method": "laft"})
    other = dataclasses.replace(step, args={"method": "tm_adv"})
    assert clock.expected(step) == 100.0
    clock.add(dataclasses.replace(step, estimate=50.0), 150.0)
    assert clock.expected(step) == 300.0
    assert clock.expected(other) == 300.0  # of its kind, nothing nearer was measured
    clock.add(other, 100.0)
    assert clock.expected(other) == 100.0
    assert [runner.duration(s) for s in (40, 700, 7800)] == ["40 s", "12 min", "2 h 10 min"]


def test_a_second_run_in_one_folder_is_refused(tmp_path: Path) -> None:
    held = runner.lock(tmp_path)
    with pytest.raises(SystemExit, match="another run is going on"):
        runner.lock(tmp_path)
    held.close()
    runner.lock(tmp_path).close()


def test_checkpoints_go_when_their_last_reader_is_done(tmp_path: Path) -> None:
    steps = [Step("stage2/t", "stage2", "", "t.json"), Step("c", "cell", "", "c", ("stage2/t",)),
             Step("d", "cell", "", "d", ("stage2/t",))]  # fmt: skip
    folder = tmp_path / "runs" / "stage2" / "t"
    folder.mkdir(parents=True)
    kept = folder / "checkpoint_last.pt"
    kept.touch()
    for name in ("t.json", "c"):
        (tmp_path / name).touch()
        runner.tidy(tmp_path, steps)
        assert kept.exists()
    (tmp_path / "d").touch()
    runner.tidy(tmp_path, steps)
    assert not kept.exists()


def test_a_checkpoint_that_was_cut_short_is_replaced(tmp_path: Path) -> None:
    last, old, new = (tmp_path / f"checkpoint_{n}.pt" for n in ("last", "1_5", "1_10"))
    for path, value in ((old, 5), (new, 10)):
        torch.save({"update": value}, path)
    os.utime(old, (1, 1))
    actions.mend(tmp_path)  # the copy had not begun
    assert torch.load(last, weights_only=True) == {"update": 10}
    last.write_bytes(last.read_bytes()[:-40])
    new.write_bytes(old.read_bytes()[:-40])
    actions.mend(tmp_path)
    assert torch.load(last, weights_only=True) == {"update": 5}
    last.write_bytes(b"PK")
    actions.mend(tmp_path)
    assert not list(tmp_path.iterdir())
    actions.mend(tmp_path)


def test_commands_are_measured(tmp_path: Path) -> None:
    log = tmp_path / "log"
    usage = process.run(["bash", "-c", "echo $OMP_NUM_THREADS; exit 3"], log, threads=2)
    assert (usage.code, log.read_text()) == (3, "2\n")
    assert usage.peak_mib > 0


@pytest.mark.skipif(sys.platform != "linux", reason="the parent's death signal is Linux's")
def test_a_command_does_not_outlive_the_run(tmp_path: Path) -> None:
    """Else a resumed run would train beside what was left of the killed one."""
    code = (
        "from pathlib import Path; from examples.ddtp.tables import process; "
        "process.run(['bash', '-c', 'echo $$; exec sleep 60'], Path('pid'))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path,
                              env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    told = tmp_path / "pid"
    assert comes_true(lambda: told.exists() and told.read_text().strip())
    child = Path("/proc") / told.read_text().strip()
    assert child.exists()
    parent.kill()
    parent.wait()
    assert comes_true(lambda: not child.exists() or "Z" in (child / "stat").read_text())


def comes_true(condition: Callable[[], object], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(condition())
