"""The workflow by its real commands, at the smallest size: to its tables, killed, refused."""

import json
import os
import random
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.recipes.warm import Warm
from tests.recipes.workflow import ROOT, Run, small

pytestmark = [pytest.mark.recipe, pytest.mark.integration]


def test_laft_to_its_tables(tmp_path: Path, warm: Warm) -> None:
    """Plan, a failed training, both stages, choices, scores, figure, tables; a changed setting."""
    run = small(
        warm, tmp_path, systems=["laft"], grid=["1e-3", "1e-5"], stage2_updates=2, figure=True,
        figure_options="--max-sentences 20", protocols=["xnlg", "unicode"],
    )  # fmt: skip
    plan = run("-n")
    assert "stage 2, zero-shot, laft.main, seed 1, rate 1e-5" in plan
    assert not (run.out / "runs").exists()
    failed = run("--config", "arch=nosuch", code=1)
    assert "fairseq-train ended with" in failed and "nosuch" in failed
    assert not list((run.out / "runs").rglob("done.json"))
    said = run()
    found = run.results()
    cell = found["results/zero-shot/laft.main.fr_XX.s1.source.json"]
    assert len(cell["items"]["rougeL"]) == cell["scores"]["n"] == len(cell["outputs"]) == 3
    assert {point["stage"] for point in cell["curve"]} == {1, 2}
    assert cell["grid"] == [1e-3, 1e-5] and cell["learning_rate"]["stage1"] == 1e-3
    assert set(cell["scores"]["floors"]) == {"lead1", "source_copy", "oracle", "english_reference"}
    assert str(tmp_path) not in json.dumps(found)
    assert "protocol:xnlg|" in cell["scores"]["signature"]
    assert "protocol:unicode|" in cell["other_scores"]["signature"]
    choice = json.loads((run.out / "select/zero-shot/laft.main.json").read_text())
    assert cell["learning_rate"]["stage2"] == float(choice["source"])
    assert set(choice["validation"]["1e-5"]) == {"en_XX"}

    assert (run.out / "results/figure2.png").read_bytes().startswith(b"\x89PNG")
    for text in (said, (run.out / "summary.md").read_text()):
        assert re.search(r"\| \*\*laft\*\* +\| fr_XX +\|", text) and "LEAD-1" in text
    tables = (run.out / "tables.md").read_text()
    assert "LAFT" in tables and "Backbone: mini/model, 10.97M parameters" in tables
    left = {path.parent.name for path in (run.out / "runs").rglob("*.pt")}
    assert left == {"s1.chosen"}  # of stage 1, which further seeds would start from
    assert "Nothing to be done" in run("-n")
    changed = run("-n", "--config", "beam=2")
    assert "generate, zero-shot, laft.main" in changed and "stage 1" not in changed


def test_laft_starts_from_the_stage_1_beside_the_backbone(tmp_path: Path, warm: Warm) -> None:
    """Its record stands in the result; ablations train a stage 1 of their own."""
    run = small(warm, tmp_path, systems=["laft"], stage1="laft-stage1.pt", stage2_updates=2,
                follow_targets=True, encoder_cache_gb=1, save_updates=1)  # fmt: skip
    assert "stage 1" not in run("-n")
    assert "stage 1, laft.main" in run("-n", "--config", "settings=[zero-shot,ablations]")
    run()
    cell = run.results()["results/zero-shot/laft.main.fr_XX.s1.source.json"]
    record = json.loads((ROOT / "examples/mini/model/laft-stage1.json").read_text())
    assert cell["cost"]["stage1_updates"] == record["updates"] > 0
    (training,) = (each for each in cell["commands"][1:] if each.startswith("fairseq-train"))
    assert "--finetune-from-model examples/mini/model/laft-stage1.pt" in training
    followed = [point for point in cell["curve"] if "rougeL" in point]
    assert [point["update"] for point in followed] == [1, 2]
    assert all(point["rougeL"].keys() == {"en_XX", "fr_XX"} for point in followed)
    assert all(0 <= share <= 100 for share in followed[0]["copied"].values())


def kill(run: Run, moment: float) -> None:
    """Start, and kill the whole process tree after some seconds."""
    process = run.start()
    time.sleep(moment)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_killed_at_any_moment_it_ends_in_the_same_results(tmp_path: Path, warm: Warm) -> None:
    """Also in a folder with a long path and with characters that have a meaning for a shell."""
    tmp_path = tmp_path / "it's [so] $x *" / ("x" * 100) / ("y" * 100)
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir(parents=True)
    both = ["source", "target"]
    whole, killed = (small(warm, tmp_path / name, selections=both) for name in ("whole", "killed"))
    start = time.monotonic()
    whole()
    source, target = (whole.results()[f"results/zero-shot/mbart_enc_top2.main.fr_XX.s1.{name}.json"]
                      for name in both)  # fmt: skip
    same = {"selection": "target", "commands": target["commands"]}
    assert {**source, **same} == target  # one choice for both
    seconds = time.monotonic() - start
    seed = random.randrange(10**6)
    print(f"moments of seed {seed}")
    moments = random.Random(seed)
    for _ in range(2):
        kill(killed, moments.uniform(1, seconds))
        killed("--unlock")
    in_training(killed)
    killed("--unlock")
    killed()
    folder = killed.out / "runs/stage2/zero-shot/mbart_enc_top2.main/s1.1e-3"
    assert killed.results() == whole.results()
    assert len(re.findall(FINISHED, (folder / "train.log").read_text())) == 1


FINISHED = "done training in"


def in_training(run: Run) -> None:
    """Kill the run once its training has saved a checkpoint on its way, if it comes to that."""
    folder = run.out / "runs/stage2/zero-shot/mbart_enc_top2.main/s1.1e-3"
    process, end = run.start(), time.monotonic() + 600
    while not (folder / "checkpoint_last.pt").exists() and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.02)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"backbone": "nowhere"}, "nowhere/model.pt: missing; backbone names the folder"),
        ({"targets": ["vi_VN"]}, "no mono.vi_VN.txt.xz; mono names the folder"),
        ({"tests": ["es_XX"]}, "tests: es_XX is neither the source nor a target (en_XX, fr_XX)"),
        ({"sistems": ["laft"]}, "sistems: no such setting"),
        ({"settings": ["few-shot-10"]}, "few-shot-10 in fr_XX: no human training pairs"),
        ({"warmup": 8}, "warmup: 8 updates, with 8 the learning rate is never reached"),
    ],
)
def test_wrong_settings_stop_at_once(
    tmp_path: Path, warm: Warm, settings: dict[str, Any], words: str
) -> None:
    run = small(warm, tmp_path, **settings)
    said = run(code=1).splitlines()
    assert said[-1].startswith("workflow: ") and words in said[-1]
    assert not any("Error" in line for line in said)
    assert not (run.out / "raw").exists()
