"""`--encoder-cache` by the real command."""

from pathlib import Path

import pytest
import torch

from laft_fairseq.cli import main
from tests import tiny
from tests.integration.conftest import Run

STAGE2 = ("--train-langs", "en_XX", "--max-update", "9", "--dropout", "0", "--disable-validation",
          "--no-epoch-checkpoints", "--autocast", "none", "--lr", "1e-3")  # fmt: skip


def trained(laft: Run, folder: Path, *flags: str) -> dict[str, torch.Tensor]:
    """The task module after three epochs of stage 2."""
    content = tiny.train(
        laft.data, folder, "generation", "--method", "laft", "--backbone", laft.backbone,
        "--finetune-from-model", laft.stage1, *STAGE2, *flags,
    )  # fmt: skip
    return {name: tensor for name, tensor in content["model"].items() if ".task_module." in name}


def test_later_epochs_read_what_the_first_computed(laft: Run, tmp_path: Path) -> None:
    plain = trained(laft, tmp_path / "plain")
    cache = ("--encoder-cache", str(tmp_path / "cache"))
    first = trained(laft, tmp_path / "first", *cache)
    sizes = {file: file.stat().st_size for file in tmp_path.glob("cache/*/part-*.cache")}
    second = trained(laft, tmp_path / "second", *cache)
    assert len(sizes) == 1 and all(sizes.values())
    assert {file: file.stat().st_size for file in tmp_path.glob("cache/*/part-*.cache")} == sizes
    start = torch.load(laft.stage1, weights_only=True)["model"]
    moved = differs = 0.0
    for name, tensor in plain.items():
        assert torch.equal(first[name], second[name]), name
        moved += float((tensor - start[name]).abs().sum())
        differs += float((first[name] - tensor).abs().sum())
    # rounding the encoder's output to bf16 is all that differs; a wrong text would be far off
    assert 0 < differs < 0.1 * moved


def test_an_encoder_that_the_checkpoint_brings_is_refused(laft: Run, tmp_path: Path) -> None:
    """It need not be the backbone, by whose fingerprint the folder is named."""
    whole = tmp_path / "whole.pt"
    export = ["export", "--checkpoint", str(laft.stage1), "--out", str(whole)]
    assert main.main(export) == 0
    with pytest.raises(Exception, match="checkpoint with an encoder of its own"):
        tiny.train(
            laft.data, tmp_path / "out", "generation", *laft.parts, "--finetune-from-model",
            whole, *STAGE2, "--encoder-cache", str(tmp_path / "cache"),
        )  # fmt: skip
    assert not (tmp_path / "cache").exists()
