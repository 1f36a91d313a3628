"""The benchmarks' timing and tables; the times themselves are not tested."""

import json
import shlex
import sys
import time
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import data, measure, report, run, steps
from benchmarks.comparisons import COMPARISONS, Setting
from benchmarks.measure import System

PRINTS = """
import time
for update in range(4):
    time.sleep(0.2 if update else 0)
    print("update", update, flush=True)
"""


def python(script: str, **options: Any) -> System:
    return System("a system", shlex.join([sys.executable, "-c", script]), **options)


def test_a_step_is_the_time_between_lines(tmp_path: Path) -> None:
    measured = measure.run(python(PRINTS), 1, tmp_path / "log")
    assert len(measured.seconds) == len(measured.cpu) == 3
    assert 0.19 < measured.step < 2
    assert measured.cpu_step < measured.step
    assert measured.whole > 0.6
    assert measured.peak_mb > 5
    assert "update 3" in (tmp_path / "log").read_text()


def test_other_marks_and_a_gpus_peak(tmp_path: Path) -> None:
    script = "print('made 1'); print('made 2'); print('cuda_peak_bytes', 3 * 2**20)"
    measured = measure.run(python(script, marks="^made"), 1, tmp_path / "log")
    assert (len(measured.seconds), measured.peak_mb) == (1, 3.0)


def test_cpu_seconds_are_those_of_the_command(tmp_path: Path) -> None:
    """Not of the shell that runs it."""
    script = """
import time
print("update 0", flush=True)
while time.process_time() < 0.4: pass
print("update 1", flush=True)
"""
    assert measure.run(python(script), 1, tmp_path / "log").cpu_step > 0.2


def test_a_failure_has_the_commands_last_lines(tmp_path: Path) -> None:
    bad = python("print('begun'); raise SystemExit('no such thing')")
    with pytest.raises(measure.Failed, match=r"no such thing$"):
        measure.run(bad, 1, tmp_path / "log")


def test_outputs_are_compared_with_the_first_systems() -> None:
    first = "update 3\nhypotheses [[5, 2], [6, 2]]\n"
    outputs = {"first": first, "second": "hypotheses [[5, 2], [7, 2]]\n", "third": "none"}
    assert run.same_outputs(outputs) == {"first": 1.0, "second": 0.5, "third": 0.0}
    assert run.same_outputs({"third": "none", "first": first}) == {}


def test_the_table_is_written_from_all_results(tmp_path: Path) -> None:
    times = {"step_low_s": 1.0, "step_high_s": 3.0, "cpu_s": 0.0}
    result = {
        "name": "decode", "shape": "mini", "batch": 4, "source": 160, "target": 24, "threads": 2,
        "repeats": 3, "updates": 5, "date": "2026-01-01", "machine": "a machine",
        "versions": {"torch": "2"}, "command": "python benchmarks/run.py",
        "systems": {"fairseq": {**times, "step_s": 2.0, "peak_mb": 100.0},
                    "laft": {**times, "step_s": 1.0, "peak_mb": 50.0}},
        "failed": {"mbart_full": "out of memory"},
    }  # fmt: skip
    run.write(tmp_path, "decode-mini.json", result)
    assert json.loads((tmp_path / "results" / "decode-mini.json").read_text()) == result
    lines = (tmp_path / "RESULTS.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    assert rows[0] == ["system", "seconds", "peak MB", "time / fairseq", "memory"]
    assert rows[-1] == ["laft", "1.000 (1.000 to 3.000)", "50", "0.500", "0.50"]
    assert "mbart_full: failed: out of memory" in lines


def test_a_busy_machines_ratios_are_those_of_cpu_seconds_and_growth_is_shown() -> None:
    times = {"step_low_s": 1.0, "step_high_s": 3.0, "peak_mb": 100.0}
    rows = {"fairseq": {**times, "step_s": 2.0, "cpu_s": 2.0, "growth": 1.5},
            "laft": {**times, "step_s": 8.0, "cpu_s": 1.0, "growth": 1.04}}  # fmt: skip
    lines = [line.split("|") for line in report.table(rows, ("fairseq",), busy=True).splitlines()]
    last = dict(zip(map(str.strip, lines[0]), map(str.strip, lines[-1]), strict=True))
    assert (last["CPU time / fairseq"], last["growth"]) == ("0.500", "1.04")


def test_times_are_those_of_a_text_where_batches_differ() -> None:
    times = {"step_low_s": 1.0, "step_high_s": 1.0, "step_s": 2.0, "cpu_s": 0.0, "peak_mb": 1.0}
    rows = {"fairseq": {**times, "batch": 2, "tokens": 20},
            "laft": {**times, "batch": 8, "tokens": 80}}  # fmt: skip
    lines = [line.split("|") for line in report.table(rows, ("fairseq",)).splitlines()]
    last = dict(zip(*(map(str.strip, lines[number]) for number in (0, -1)), strict=True))
    assert (last["batch"], last["time / fairseq"], last["tokens / s"]) == ("8", "0.250", "40")


def test_batches_by_tokens_hold_every_text_once_but_fairseqs_last_batch() -> None:
    lengths = np.random.default_rng(1).integers(3, 100, (2, 500))
    made = steps.batches(lengths, Namespace(max_tokens=300, batch_size=None))
    items = [item for batch in made for item in batch]
    assert 490 < len(items) == len(set(items))
    assert max(len(batch) * lengths[:, batch].max() for batch in made) <= 300
    assert len(made) < 150
    by_texts = steps.batches(lengths, Namespace(max_tokens=None, batch_size=8))
    assert {len(batch) for batch in by_texts[:-1]} <= {8, 4}


def test_all_runs_three_comparisons_with_the_batch_that_fits_until_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The GPU's machine is stood in for: its memory holds 16 texts, and its clock is ours."""
    clock = iter(range(100))

    def run_system(system: System, threads: int, log: Path) -> measure.Run:
        if "--batch-size 16 " not in system.command:
            raise measure.Failed("torch.OutOfMemoryError: CUDA out of memory.")
        return measure.Run([1.0], [1.0], [], peak_mb=1.0, whole=1.0, output="")

    monkeypatch.setattr(sys, "argv", shlex.split(
        f"run.py all --cuda --batch 64 --repeats 1 --only ^laft --limit 8 --results {tmp_path}"
    ))  # fmt: skip
    monkeypatch.setattr(measure, "run", run_system)
    monkeypatch.setattr(measure, "machine", lambda cuda: "a GPU")
    monkeypatch.setattr(data, "prepare", lambda setting: None)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    assert run.main() == 0
    names = {}
    for file in (tmp_path / "results").glob("*-mini-cuda.json"):
        result = json.loads(file.read_text())
        names[result["name"]] = list(result["systems"])
        assert {row["batch"] for row in result["systems"].values()} == {16}
    assert {name: len(systems) for name, systems in names.items()} == {
        "stage1": 2, "stage2": 4, "decode": 2,
    }  # fmt: skip
    assert "not run" not in capsys.readouterr().out
    monkeypatch.setattr(time, "monotonic", lambda: 10 * next(clock))
    assert run.main() == 0
    assert capsys.readouterr().out.count("not run, as --limit 8 is over") == 8


def test_growth_is_that_after_100_steps() -> None:
    run_of = partial(measure.Run, [], [], peak_mb=1.0, whole=1.0, output="")
    assert run_of(memory_mb=[500.0, *[100.0] * 100, *[120.0] * 200]).growth == pytest.approx(1.2)
    assert run_of(memory_mb=[1.0] * 200).growth == 0


def test_real_lengths_are_those_of_the_shipped_pairs() -> None:
    lengths = data.real_lengths(40)
    assert {name: len(counts) for name, counts in lengths.items()} == {
        "source": 40, "target": 40, "mono": 40,
    }  # fmt: skip
    assert len(set(lengths["source"])) > 20
    assert sum(lengths["source"]) > 3 * sum(lengths["target"])


def test_the_shipped_results_are_in_the_shipped_table(repository: Path, tmp_path: Path) -> None:
    for file in (repository / "benchmarks" / "results").glob("*.json"):
        run.write(tmp_path, file.name, json.loads(file.read_text()))
    table = (repository / "benchmarks" / "RESULTS.md").read_text()
    assert (tmp_path / "RESULTS.md").read_text() == table


@pytest.mark.parametrize("name", sorted(COMPARISONS))
def test_every_baseline_is_a_system(name: str) -> None:
    comparison = COMPARISONS[name]
    names = [each.name for each in comparison.systems(Setting(Path("out"), "large", 8, 5))]
    assert len(set(names)) == len(names)
    assert set(comparison.baselines) <= {*names, "ctranslate2"}
