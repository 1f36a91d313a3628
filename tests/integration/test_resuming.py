"""Warnings of a resumed run, and what is refused in the folder of another one."""

import logging
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fairseq.criterions.cross_entropy import CrossEntropyCriterion

from tests import tiny
from tests.integration.conftest import SAVING, Run
from tests.integration.test_bad_input import said

FLAGS = ("--method", "laft", "--train-langs", "en_XX", "--valid-langs", "en_XX",
         "--no-epoch-checkpoints", "--lr-scheduler", "polynomial_decay", "--warmup-updates", "2",
         "--total-num-update", "20")  # fmt: skip


@pytest.fixture(scope="module")
def folder(laft: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stage 2 after four updates: a best and a last checkpoint."""
    home = tmp_path_factory.mktemp("resuming")
    tiny.train(laft.data, home, "generation", *FLAGS, "--backbone", laft.backbone,
               "--finetune-from-model", laft.stage1, "--max-update", "4")  # fmt: skip
    return home


def resumed(
    laft: Run, save_dir: Path, log: pytest.LogCaptureFixture, *flags: str | Path, updates: int = 6
) -> tuple[list[str], int]:
    """What our modules warn of, and the updates of the last checkpoint."""
    log.clear()
    flags = (*FLAGS, "--backbone", laft.backbone, "--max-update", str(updates), *flags)
    content = tiny.train(laft.data, save_dir, "generation", *flags, "--disable-validation")
    ours = [r for r in log.records if r.name.startswith("laft_fairseq")]
    warnings = [r.getMessage() for r in ours if r.levelno >= logging.WARNING]
    return warnings, content["optimizer_history"][-1]["num_updates"]


def test_the_best_checkpoint_is_no_place_to_resume_from(
    laft: Run, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    best, last = folder / "checkpoint_best.pt", folder / "checkpoint_last.pt"
    updates = torch.load(best, weights_only=True)["optimizer_history"][-1]["num_updates"]
    warnings, _ = resumed(laft, tmp_path / "best", caplog, "--restore-file", best)
    (line,) = warnings
    assert line.startswith(f"{best}: saved after {updates} updates") and str(last) in line
    warnings, updates = resumed(laft, tmp_path / "last", caplog, "--restore-file", last)
    assert (warnings, updates) == ([], 6)


@pytest.mark.parametrize(
    "flags",
    [("--finetune-from-model", "{best}"),
     ("--restore-file", "{best}", "--reset-optimizer", "--reset-lr-scheduler", "--reset-meters",
      "--reset-dataloader")],
)  # fmt: skip
def test_who_begins_anew_on_purpose_is_not_warned(
    laft: Run, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    flags: tuple[str, ...],
) -> None:  # fmt: skip
    words = [word.format(best=folder / "checkpoint_best.pt") for word in flags]
    assert resumed(laft, tmp_path, caplog, *words, updates=2) == ([], 2)


def test_a_last_checkpoint_without_states_names_the_option(
    laft: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flags = ("--no-save-optimizer-state", "--finetune-from-model", laft.stage1)
    assert resumed(laft, tmp_path, caplog, *flags, updates=2) == ([], 2)
    (line,), _ = resumed(laft, tmp_path, caplog, *flags, updates=3)
    assert line.startswith(f"{tmp_path / 'checkpoint_last.pt'}: saved after 2 updates")
    assert "--no-save-optimizer-state" in line


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ((), ("{last}", "{stage1}")),
        (("--finetune-from-model", "{best}"), ("{last}", "{stage1}", "{best}")),
        (("--finetune-from-model", "{stage1}", "--train-langs", "en_XX,fr_XX"),
         ("{last}", "--train-langs en_XX, not en_XX,fr_XX")),
        (("--finetune-from-model", "{stage1}", "--store-ema"), ("--store-ema",)),
    ],
)  # fmt: skip
def test_another_training_in_the_folder_of_one_is_refused(
    laft: Run, folder: Path, flags: tuple[str, ...], named: tuple[str, ...]
) -> None:
    """fairseq would go on with the one that is there, and here do nothing."""
    last = folder / "checkpoint_last.pt"
    names = {"last": last, "best": folder / "checkpoint_best.pt", "stage1": laft.stage1}
    before = last.read_bytes()
    words = (*FLAGS, "--backbone", laft.backbone, *(word.format(**names) for word in flags))
    line = said(lambda: tiny.train(laft.data, folder, "generation", *words, "--max-update", "4"))
    assert line.startswith(named[0].format(**names))
    assert all(word.format(**names) in line for word in named)
    assert last.read_bytes() == before


@pytest.mark.parametrize("how", ["cut", "killed"])
def test_a_cut_or_killed_training_costs_nothing_but_time(
    laft: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Its last checkpoint cut, or killed while that was copied: it ends as one never killed."""
    flags = (*laft.parts, "--save-interval-updates", "2", *SAVING)

    def trained(name: str, updates: int) -> dict[str, torch.Tensor]:
        content = tiny.train(
            laft.data, tmp_path / name, "denoising", *flags, "--max-update", str(updates)
        )
        return {**content["model"], **{f"{number}.{key}": value for number, states
                in content["last_optimizer_state"]["state"].items()
                for key, value in states.items() if isinstance(value, torch.Tensor)}}  # fmt: skip

    last, half = tmp_path / "killed" / "checkpoint_last.pt", tmp_path / "half"
    trained("killed", 2)

    def copy_half(source: str, target: str) -> None:
        Path(target).write_bytes(Path(source).read_bytes()[:9000])
        half.touch()
        time.sleep(600)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", copy_half)
        if how == "killed":
            child = multiprocessing.get_context("fork").Process(target=trained, args=("killed", 4))
            child.start()
            while child.is_alive() and not half.exists():
                time.sleep(0.05)
            child.kill()
            child.join()
            assert half.exists()
        else:
            last.write_bytes(last.read_bytes()[:-9000])
    killed, never = trained("killed", 6), trained("never", 6)
    assert killed.keys() == never.keys()
    assert all(torch.equal(killed[name], never[name]) for name in never)


FIXED = ("--method", "mbart_full", "--save-interval-updates", "2", *SAVING)  # at one rate


def test_a_finished_training_has_nothing_to_do(
    laft: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Run again as it was, or with fewer updates; more are made."""
    flags = (*FIXED, "--backbone", laft.backbone)
    last = tmp_path / "checkpoint_last.pt"
    tiny.train(laft.data, tmp_path, "denoising", *flags, "--max-update", "4")
    before = last.read_bytes(), last.stat().st_mtime_ns
    for updates in ("4", "3"):
        tiny.train(laft.data, tmp_path, "denoising", *flags, "--max-update", updates)
        assert (last.read_bytes(), last.stat().st_mtime_ns) == before
    assert f"{tmp_path}: has made its 4 updates; nothing is done" in caplog.text
    content = tiny.train(laft.data, tmp_path, "denoising", *flags, "--max-update", "5")
    assert content["optimizer_history"][-1]["num_updates"] == 5


@pytest.mark.parametrize("spoilt", ["loss", "weights"])
def test_a_training_that_diverges_keeps_its_checkpoints(
    laft: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoilt: str
) -> None:
    """A loss that is no number makes no update; weights that are none are not saved."""
    stock, calls = CrossEntropyCriterion.forward, []

    def forward(self: Any, model: Any, sample: Any, **kwargs: Any) -> Any:
        loss, size, logged = stock(self, model, sample, **kwargs)
        calls.append(size)
        if spoilt == "loss" and len(calls) > 4:
            loss = loss * float("nan")
        elif len(calls) > 4:
            bias = model.encoder.layer_norm.bias.data
            loss.register_hook(lambda gradient: (bias.fill_(np.inf), gradient)[1])
        return loss, size, logged

    monkeypatch.setattr(CrossEntropyCriterion, "forward", forward)
    flags = (*FIXED, "--backbone", laft.backbone, "--max-update", "9",
             "--save-interval-updates", "1")  # fmt: skip
    line = said(lambda: tiny.train(laft.data, tmp_path, "denoising", *flags))
    if spoilt == "loss":
        assert line.startswith("update 5: the gradient's norm is nan, at the learning rate 0.02: ")
    else:
        assert "encoder.layer_norm.bias has become infinite" in line
    assert "--lr" in line and str(tmp_path) in line
    names = {path.name for path in tmp_path.glob("*.pt")}
    assert names == {"checkpoint_last.pt", *(f"checkpoint_1_{n}.pt" for n in range(1, 5))}
    history = torch.load(tmp_path / "checkpoint_last.pt")["optimizer_history"]
    assert history[-1]["num_updates"] == 4


HOLD = """
import fcntl, sys, time
file = open(sys.argv[1] + "/.lock", "a")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


def test_one_training_a_folder(laft: Run, tmp_path: Path) -> None:
    """Another process's is refused; what a killed one had begun is removed."""
    left = [".checkpoint_1_2.77.tmp.pt", "checkpoint_last.pt.tmp", "crash.pt.tmp"]
    for name in [*left, "notes.tmp"]:
        (tmp_path / name).touch()
    words = [sys.executable, "-c", HOLD, str(tmp_path)]

    def train() -> None:
        flags = (*FIXED, "--backbone", laft.backbone, "--max-update", "1")
        tiny.train(laft.data, tmp_path, "denoising", *flags)

    with subprocess.Popen(words, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
            assert said(train).startswith(f"--save-dir {tmp_path}: another training writes to it")
            assert {*left, "notes.tmp", ".lock"} == set(os.listdir(tmp_path))
        finally:
            holder.kill()
    train()
    assert {"notes.tmp", ".lock", "checkpoint_last.pt"} == set(os.listdir(tmp_path))
