"""examples/own/run.sh in a repository of stand-ins: what it splits, calls, refuses and skips."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BINARIZE = """#!/usr/bin/env bash
set -euo pipefail
echo "binarize $*" >> "$LOG"
while [ $# -gt 0 ]; do [ "$1" != --out ] || mkdir -p "$2"; shift; done
"""
LAFT = """#!/usr/bin/env bash
echo "laft $*" >> "$LOG"
while [ $# -gt 0 ]; do [ "$1" != --out ] || touch "$2"; shift; done
"""
TRAIN = """#!/usr/bin/env bash
echo "train $*" >> "$LOG"
[ -z "${FAILS:-}" ] || { echo "laft: error: $FAILS" >&2; exit 1; }
while [ $# -gt 0 ]; do [ "$1" != --save-dir ] || touch "$2/checkpoint_best.pt"; shift; done
"""
NOTHING = "#!/usr/bin/env bash\n"


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A folder of 40 pairs, 60 French texts, and a repository of which only the recipe is real."""
    commands = {"preprocess/binarize.sh": BINARIZE, "bin/laft": LAFT, "bin/fairseq-train": TRAIN,
                "bin/python": NOTHING, "bin/nvidia-smi": "#!/bin/sh\nexit 1\n"}  # fmt: skip
    for name, text in commands.items():
        path = tmp_path / "repository" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    for name in ("examples/own/run.sh", "examples/common.sh"):
        (tmp_path / "repository" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "repository" / name)
    folder = tmp_path / "my task"
    folder.mkdir()
    (folder / "train.tsv").write_text("".join(f"text {n}\tshort {n}\n" for n in range(40)))
    (folder / "mono.fr_XX.txt").write_text("\n".join(f"texte {n}" for n in range(60)))
    for name in ("model.pt", "dict.txt", "langs.txt", "sentence.bpe.model"):
        (tmp_path / "mbart").mkdir(exist_ok=True)
        (tmp_path / "mbart" / name).touch()
    return folder


def run(task: Path, step: str, **variables: str) -> subprocess.CompletedProcess[str]:
    home = task.parent / "repository"
    environment = {**os.environ, "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}",
                   "LOG": str(task.parent / "log"), "BACKBONE": str(task.parent / "mbart"),
                   **variables}  # fmt: skip
    return subprocess.run(
        ["bash", str(home / "examples" / "own" / "run.sh"), step, task.name],
        env=environment, cwd=task.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip


def calls(task: Path) -> list[str]:
    return (task.parent / "log").read_text().replace(f"{task}/", "").splitlines()


def option(call: str, name: str) -> str:
    words = call.split()
    return words[words.index(name) + 1]


def test_all_steps_in_order(task: Path) -> None:
    done = run(task, "all", STAGE1_UPDATES="7", STAGE2_LR="5e-4")
    assert done.returncode == 0, done.stderr
    made = calls(task)
    assert [" ".join(call.split()[:2]) for call in made] == [
        "binarize pairs", "binarize mono", "binarize mono", "laft components",
        "train out/data-bin", "train out/data-bin",
    ]  # fmt: skip
    assert option(made[0], "--columns") == "1,2"
    assert [option(call, "--lang") for call in made[:3]] == ["en_XX", "en_XX", "fr_XX"]
    assert option(made[3], "--langs") == "en_XX,fr_XX"
    first, second = made[4:]
    assert option(first, "--task") == "laft_denoising"
    assert (option(first, "--train-langs"), option(first, "--max-update")) == ("en_XX,fr_XX", "7")
    assert option(second, "--task") == "laft_generation"
    assert (option(second, "--train-langs"), option(second, "--lr")) == ("en_XX", "5e-4")
    assert option(second, "--finetune-from-model") == "out/stage1/checkpoint_best.pt"
    assert "laft generate --checkpoint" in done.stdout and "--lang fr_XX" in done.stdout

    raw = task / "out" / "raw"
    pairs = (task / "train.tsv").read_text().splitlines()
    assert (raw / "train.tsv").read_text().splitlines() == pairs[:38]
    assert (raw / "valid.tsv").read_text().splitlines() == pairs[38:]
    english = [pair.split("\t")[0] for pair in pairs]  # no mono.en_XX.txt: the pairs' sources
    assert (raw / "mono.en_XX.train").read_text().splitlines() == english[:38]
    french = (task / "mono.fr_XX.txt").read_text().splitlines()
    assert (raw / "mono.fr_XX.train").read_text().splitlines() == french[:57]
    assert (raw / "mono.fr_XX.valid").read_text().splitlines() == french[57:]

    again = run(task, "all")
    assert again.returncode == 0 and again.stdout.count("done before") == 4
    assert len(calls(task)) == 6


def test_given_validation_pairs_and_english_text_are_used(task: Path) -> None:
    (task / "valid.tsv").write_text("a\tb\n")
    (task / "mono.en_XX.txt").write_text("plain\n" * 20)
    assert run(task, "data").returncode == 0
    assert "--train train.tsv --valid valid.tsv" in calls(task)[0].replace("my task/", "")
    assert (task / "out" / "raw" / "mono.en_XX.train").read_text() == "plain\n" * 19


def test_what_is_missing_is_named(task: Path) -> None:
    early = run(task, "stage1")
    assert early.returncode == 1 and "first run examples/own/run.sh components" in early.stderr
    assert run(task, "stage3").returncode == 1
    alone = run(task, "data", BACKBONE="nowhere")
    assert alone.returncode == 1 and "nowhere/model.pt: missing" in alone.stderr
    (task / "mono.fr_XX.txt").write_text("une\n")
    short = run(task, "data")
    assert short.returncode == 1 and "1 lines, of which none can be held out" in short.stderr
    (task / "mono.fr_XX.txt").unlink()
    none = run(task, "data")
    assert none.returncode == 1 and "no mono.<tag>.txt of another language" in none.stderr
    (task / "train.tsv").unlink()
    assert "train.tsv: missing; a line is source, tab, target" in run(task, "data").stderr


def test_a_training_that_fails_is_not_done(task: Path) -> None:
    failed = run(task, "all", FAILS="no adapter")
    assert failed.returncode == 1
    assert "laft: error: no adapter" in failed.stderr
    assert not (task / "out" / "stage1" / "done").exists()
    assert len([call for call in calls(task) if call.startswith("train")]) == 1
