"""What a tables' run finds in its folder: made of what is there now, or made again."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from examples.ddtp.tables import (
    actions,
    carry,
    cells,
    commands,
    process,
    results,
    translation,
)
from examples.ddtp.tables.budget import Budget
from examples.ddtp.tables.files import read_json, write_json, write_lines, write_text
from examples.ddtp.tables.sources import Sources
from examples.ddtp.tables.steps import Step, System
from examples.ddtp.tables.work import StepFailed, Work
from tests import ddtp_text

TRAINED = "num. shared model params: 10 (num. trained: 10)\n"
TRAINING = "stage2/zero-shot/mbart_full.main/s1.source"
CELL = "cell/zero-shot/mbart_full.main.fr_XX.s1.source"


def run_in(out: Path, call: Callable[..., process.Usage], budget: Budget = ddtp_text.SMALL) -> Work:
    """A run whose commands are `call`'s."""
    work = ddtp_text.work(out, Sources(out, out), budget)
    work.call = call  # type: ignore[method-assign]
    return work


def trained(out: Path, name: str = TRAINING, **more: Any) -> None:
    """A training that has ended."""
    folder = out / "runs" / name
    write_text(folder / "checkpoint_last.pt", name)
    write_text(folder / "train.log", TRAINED)
    told = {"command": "fairseq-train x --lr 1e-3 --max-update 4", "seconds": 1.0,
            "peak_mib": 5, "threads": 1, "stage1": None}  # fmt: skip
    write_json(folder / "done.json", told | more)


def cell_step(**more: Any) -> Step:
    args = {"method": "mbart_full", "variant": "main", "setting": "zero-shot", "lang": "fr_XX",
            "seed": 1, "selection": "source", "task": "headlines", "data": "zero-shot",
            "training": TRAINING}  # fmt: skip
    return Step(CELL, "cell", "", "results/cell.json", args=args | more)


class Generator:
    """Stands for fairseq-generate, laft score and translate_test.sh; counts the first and last."""

    def __init__(self, out: Path) -> None:
        self.out, self.text, self.calls = out, "", 0
        write_lines(out / "raw" / "zero-shot" / "fr_XX.test.tgt", ["a b", "c d"])
        write_lines(out / "raw" / "zero-shot" / "fr_XX.test.src", ["a", "b"])

    def __call__(self, command: Sequence[str], log: Path, **more: Any) -> process.Usage:
        folder = self.out / "runs" / CELL
        if command[0] == "laft":
            write_json(folder / "score.json", {"rougeL": {"f": 0}})
            return process.Usage(0, 1.0, 1.0)
        self.calls += 1
        if command[0] == "bash":
            assert not (folder / "settings").exists()
            write_text(folder / "settings", "as translate_test.sh writes them")
            write_json(folder / "score.fr_XX.json", {"rougeL": {"f": 0}})
            write_lines(folder / "hypotheses.fr_XX.txt", [self.text] * 2)
        else:
            block = "S-{0}\tx\nT-{0}\tx\nH-{0}\t-0.1\t{1}\nD-{0}\t-0.1\t{1}\n"
            log.write_text("".join(block.format(item, self.text) for item in (0, 1)))
        return process.Usage(0, 2.0, 1.0)


def outputs(work: Work, step: Step, text: str, seconds: float) -> tuple[str, int]:
    """The first output of a cell of a training that took so long, and how often it was asked."""
    trained(work.out, seconds=seconds)
    work.call.text = text
    cells.perform(work, step)
    return read_json(work.out / step.result)["outputs"][0], work.call.calls


def test_outputs_are_of_the_training_that_is_there(tmp_path: Path) -> None:
    work, step = run_in(tmp_path, Generator(tmp_path)), cell_step()
    assert outputs(work, step, "old", 1.0) == ("old", 1)
    assert outputs(work, step, "not asked", 1.0) == ("old", 1)
    assert outputs(work, step, "new", 2.0) == ("new", 2)
    (tmp_path / "runs" / CELL / "training").unlink()  # an earlier version's: of which, who knows
    assert outputs(work, step, "newest", 2.0) == ("newest", 3)


def test_questions_are_not_scored_against_headlines(tmp_path: Path) -> None:
    """Where a data set of headlines has no test of its own, the zero-shot one is it."""
    work = run_in(tmp_path, Generator(tmp_path))
    assert outputs(work, cell_step(data="translated.fr_XX"), "a title", 1.0)[0] == "a title"
    with pytest.raises(OSError, match=r"questions/fr_XX\.test"):
        outputs(work, cell_step(data="questions", task="questions"), "why?", 2.0)


def test_what_a_killed_run_left_of_a_file_is_no_text(tmp_path: Path) -> None:
    write_text(tmp_path / "fr_XX.test.src", "un texte")
    before = carry.text_digest(tmp_path)
    write_text(tmp_path / ".fr_XX.test.tgt.1.2.tmp", "la moi")
    assert carry.text_digest(tmp_path) == before
    write_text(tmp_path / "fr_XX.test.tgt", "la moitié")
    assert carry.text_digest(tmp_path) != before


def test_translations_are_of_the_training_that_is_there(tmp_path: Path) -> None:
    """translate_test.sh refuses another checkpoint in its folder."""
    work, step = run_in(tmp_path, Generator(tmp_path)), cell_step(setting="translate-test")
    assert outputs(work, step, "old", 1.0) == ("old", 1)
    assert outputs(work, step, "new", 2.0) == ("new", 2)


def training(work: Work) -> dict[str, Any]:
    """Train by the command that the run has."""
    step = Step(TRAINING, "stage2", "", f"runs/{TRAINING}/done.json")
    actions._train(work, step, ["fairseq-train"], stage1="stage1/x")
    return dict(read_json(work.out / step.result))


def test_a_training_that_had_saved_nothing_costs_what_its_whole_run_did(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / TRAINING
    write_text(folder / "seconds", "230.0")
    write_text(folder / "train.log", f"of a run whose checkpoint is gone {actions.FINISHED}")
    write_text(folder / "done.json", "{}")

    def call(command: Sequence[str], log: Path, **more: Any) -> process.Usage:
        assert not (folder / "done.json").exists() and not log.exists()
        more["beat"](20.0)
        assert (folder / "seconds").read_text() == "20.0"
        (folder / "checkpoint_last.pt").write_text("x")
        return process.Usage(0, 40.0, 7.4)

    assert training(run_in(tmp_path, call)) == {
        "command": "fairseq-train", "seconds": 40.0, "peak_mib": 7, "threads": 1,
        "stage1": "stage1/x",
    }  # fmt: skip


@pytest.mark.parametrize(("log", "seconds", "peak"), [("", 270.0, 7),
                                                      (actions.FINISHED, 230.0, None)])  # fmt: skip
def test_a_training_that_was_cut_short_says_so(
    tmp_path: Path, log: str, seconds: float, peak: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On its way, or between its end and its done.json."""
    monkeypatch.setattr(actions, "mend", lambda folder: None)
    folder = tmp_path / "runs" / TRAINING
    for name, text in (("seconds", "230.0"), ("train.log", log), ("checkpoint_last.pt", "x")):
        write_text(folder / name, text)
    found = training(run_in(tmp_path, lambda *words, **more: process.Usage(0, 40.0, 7.4)))
    assert found["interrupted"] is True
    assert (found["seconds"], found["peak_mib"]) == (seconds, peak)


@pytest.mark.parametrize("lost", [{"interrupted": True}, {"peak_mib": 0}])
def test_a_cell_tells_no_seconds_that_are_not_known(tmp_path: Path, lost: dict[str, Any]) -> None:
    trained(tmp_path, **lost)
    call = Generator(tmp_path)
    work, step = run_in(tmp_path, call), cell_step()
    cells.perform(work, step)
    cost = read_json(tmp_path / step.result)["cost"]
    assert cost["interrupted"] is True
    assert (cost["stage2_seconds"], cost["generate_seconds"]) == (None, 2.0)
    trained(tmp_path)
    cells.perform(work, step)
    cost = read_json(tmp_path / step.result)["cost"]
    assert "interrupted" not in cost and cost["stage2_seconds"] == 1.0


@pytest.mark.parametrize("out", ["my out/tables", "/tmp/my out/tables", "out"])
@pytest.mark.parametrize("told", [True, False])
def test_stage_1_of_a_cell_is_found_in_any_folder(out: str, told: bool) -> None:
    work = run_in(Path(out), lambda *words, **more: process.Usage(0, 1.0, 1.0))
    stage1 = "stage1/laft.main/s1.1e-3"
    command = commands.stage2(
        work.place, work.budget, System("laft"), work.out / "runs" / TRAINING, rate="3e-4", seed=1,
        updates=4, data="zero-shot", train=("en_XX",), valid=("en_XX",), rouge=False,
        start=work.out / "runs" / stage1 / "checkpoint_last.pt",
    )  # fmt: skip
    done = {"command": work.words(command), **({"stage1": stage1} if told else {})}
    assert results._stage1_of(done) == stage1
    assert results._option(done["command"], "--lr") == "3e-4"
    assert results._stage1_of({"command": "fairseq-train", "stage1": stage1}) == stage1
    assert results._stage1_of({"command": "fairseq-train --lr 1"}) is None


def test_english_references_may_lie_in_any_folder(tmp_path: Path) -> None:
    work = run_in(tmp_path, lambda *words, **more: process.Usage(0, 1.0, 1.0))
    raw = tmp_path / "my out"
    write_text(raw / "fr_XX.test.english", "x\n")
    words = translation.test(work.place, work.budget, Path("c.pt"), raw, "fr_XX", tmp_path)
    assert words[words.index("--english-ref") + 1] == str(raw / "fr_XX.test.english")
    assert str(raw) not in words[words.index("--score") + 1]


def test_pairs_of_an_earlier_version_are_not_scored(tmp_path: Path) -> None:
    trained(tmp_path)
    write_json(tmp_path / "data" / "few-shot-10.fr_XX.json", {"fr_XX.train": 10})
    work, step = run_in(tmp_path, Generator(tmp_path)), cell_step(data="few-shot-10.fr_XX")
    with pytest.raises(StepFailed, match="of an earlier version; remove it"):
        actions.perform(work, step)
    told = {"pairs": 10, "repeats": 200, "share": 0.2}
    write_json(tmp_path / "data" / "few-shot-10.fr_XX.json", {"training_pairs": told})
    actions.perform(work, step)
    assert read_json(tmp_path / step.result)["training_pairs"] == told
