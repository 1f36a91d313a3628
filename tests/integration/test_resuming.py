"""Warnings of a resumed run, and what is refused in the folder of another one."""

import logging
from pathlib import Path

import pytest
import torch

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


def test_a_start_that_is_not_there(laft: Run, tmp_path: Path) -> None:
    flags = (*FLAGS, "--backbone", laft.backbone, "--finetune-from-model", tmp_path / "stage1.pt")
    line = said(lambda: tiny.train(laft.data, tmp_path, "generation", *flags, "--max-update", "1"))
    assert line.startswith(f"--finetune-from-model {tmp_path / 'stage1.pt'}: ")


def test_a_cut_last_checkpoint_costs_nothing_but_time(laft: Run, tmp_path: Path) -> None:
    """Resumed from the whole one beside it, the training ends bit for bit as one never killed."""
    flags = (*laft.parts, "--save-interval-updates", "2", *SAVING)

    def trained(name: str, updates: int) -> dict[str, torch.Tensor]:
        content = tiny.train(
            laft.data, tmp_path / name, "denoising", *flags, "--max-update", str(updates)
        )
        return {**content["model"], **{f"{number}.{key}": value for number, states
                in content["last_optimizer_state"]["state"].items()
                for key, value in states.items() if isinstance(value, torch.Tensor)}}  # fmt: skip

    trained("killed", 4)
    last = tmp_path / "killed" / "checkpoint_last.pt"
    last.write_bytes(last.read_bytes()[:-9000])
    killed, never = trained("killed", 6), trained("never", 6)
    assert killed.keys() == never.keys()
    assert all(torch.equal(killed[name], never[name]) for name in never)
