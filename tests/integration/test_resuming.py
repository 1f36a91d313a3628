"""Warnings of a resumed run, and what is refused in the folder of another one."""

import logging
from pathlib import Path

import pytest
import torch

from tests import tiny
from tests.integration.conftest import Run

FLAGS = ("--method", "laft", "--train-langs", "en_XX", "--valid-langs", "en_XX",
         "--no-epoch-checkpoints", "--lr-scheduler", "polynomial_decay", "--warmup-updates", "2",
         "--total-num-update", "20")  # fmt: skip
WARNING = (
    "{best}: saved after {updates} updates, but without optimizer state, as best checkpoints are: "
    "Adam, the learning rate schedule and the count of updates start again; to resume, restore "
    "{last}"
)


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
    assert warnings == [WARNING.format(best=best, last=last, updates=updates)]
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
    assert line.startswith(f"{tmp_path / 'checkpoint_last.pt'}: saved after 2 updates, but ")
    assert line.endswith("; to resume, save without --no-save-optimizer-state")


def test_averaged_weights_are_refused(laft: Run, tmp_path: Path) -> None:
    flags = (*FLAGS, "--backbone", laft.backbone, "--finetune-from-model", laft.stage1)
    with pytest.raises(Exception) as caught:
        tiny.train(laft.data, tmp_path, "generation", *flags, "--store-ema", "--max-update", "1")
    assert tiny.one_line(caught.value).startswith("--store-ema: the laft tasks keep no averages")


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ((), "{last}: that training started from {stage1}, not from the backbone; choose another"),
        (("--finetune-from-model", "{best}"),
         "{last}: that training started from {stage1}, not from {best}; choose another --save-dir"),
        (("--finetune-from-model", "{stage1}", "--train-langs", "en_XX,fr_XX"),
         "{last}: trained with --train-langs en_XX, not en_XX,fr_XX; choose another --save-dir"),
    ],
)  # fmt: skip
def test_another_training_in_the_folder_of_one_is_refused(
    laft: Run, folder: Path, flags: tuple[str, ...], line: str
) -> None:
    """fairseq would go on with the one that is there, and here do nothing."""
    last = folder / "checkpoint_last.pt"
    names = {"last": last, "best": folder / "checkpoint_best.pt", "stage1": laft.stage1}
    before = last.read_bytes()
    words = (*FLAGS, "--backbone", laft.backbone, *(word.format(**names) for word in flags))
    with pytest.raises(Exception) as caught:
        tiny.train(laft.data, folder, "generation", *words, "--max-update", "4")
    assert tiny.one_line(caught.value).startswith(line.format(**names))
    assert last.read_bytes() == before


def test_a_start_that_is_not_there(laft: Run, tmp_path: Path) -> None:
    flags = (*FLAGS, "--backbone", laft.backbone, "--finetune-from-model", tmp_path / "stage1.pt")
    with pytest.raises(Exception) as caught:
        tiny.train(laft.data, tmp_path, "generation", *flags, "--max-update", "1")
    line = f"--finetune-from-model {tmp_path / 'stage1.pt'}: no such checkpoint"
    assert tiny.one_line(caught.value) == line
