"""Wrong input: one clear line that names the file, the language and what to do."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from laft_fairseq.cli import main
from tests import tiny
from tests.integration.conftest import SAVING, Run, write_components

GENERATE = ("--task", "laft_generation", "--gen-lang", "fr_XX", "--beam", "1")


def said(run: Callable[[], Any]) -> str:
    """The one line that a command ends with."""
    with pytest.raises(Exception) as caught:
        run()
    return tiny.one_line(caught.value)


@pytest.fixture
def training(laft: Run, tmp_path: Path) -> Callable[..., str]:
    """What a training of one update says before it dies."""

    def run(stage: str, *flags: str | Path, data: Path = laft.data) -> str:
        flags = (*flags, "--max-update", "1", *SAVING)
        return said(lambda: tiny.train(data, tmp_path / "run", stage, *flags))

    return run


def test_a_colon_in_the_datas_path(training: Callable[..., str], laft: Run, tmp_path: Path) -> None:
    """fairseq takes what stands before it for the folder."""
    there = Path(shutil.copytree(laft.data, tmp_path / "10:00"))
    line = training("denoising", *laft.parts, data=there)
    assert "10:00: fairseq splits paths at ':'" in line


def test_components_of_another_backbone(
    training: Callable[..., str], laft: Run, tmp_path: Path
) -> None:
    content = torch.load(laft.backbone, weights_only=True)
    content["model"]["encoder.layer_norm.bias"][0] += 1
    torch.save(content, tmp_path / "other.pt")
    line = training("denoising", *laft.parts, "--backbone", tmp_path / "other.pt")
    assert line.startswith(f"{laft.components}: components of another backbone")


def test_components_of_another_encoder(
    training: Callable[..., str], laft: Run, tmp_path: Path
) -> None:
    """LAFT after a row that trained the encoder: refused, and the remedy named is one."""
    row = ("--method", "mbart_enc", "--backbone", laft.backbone, "--max-update", "1", *SAVING)
    trained, backbone = tmp_path / "enc" / "checkpoint_last.pt", tmp_path / "enc.pt"
    tiny.train(laft.data, tmp_path / "enc", "denoising", *row)
    line = training("denoising", *laft.parts, "--finetune-from-model", trained)
    assert line.startswith(f"{trained}: --method mbart_enc has trained its encoder, so the")
    assert "`laft export --as-backbone`" in line
    flags = ("--checkpoint", trained, "--as-backbone", "--out", backbone)
    assert main.main(["export", *map(str, flags)]) == 0
    components = write_components(tmp_path / "c.safetensors", backbone)
    flags = (*laft.parts, "--backbone", backbone, "--language-components", components)
    tiny.train(laft.data, tmp_path / "own", "denoising", *flags, "--max-update", "1", *SAVING)


def test_language_without_components_or_adapter(
    training: Callable[..., str], laft: Run, tmp_path: Path
) -> None:
    line = training("denoising", "--method", "laft", "--backbone", laft.backbone)
    assert line.startswith("no language components for ")
    assert "`laft components`" in line
    flags = ("--train-langs", "en_XX,fr_XX", "--save-dir", tmp_path / "stage1", "--max-update", "1")
    tiny.train(laft.data, tmp_path / "stage1", "denoising", *laft.parts, *flags, *SAVING)
    generate = ("--task", "laft_generation", "--gen-lang", "zh_CN")
    checkpoint = tmp_path / "stage1" / "checkpoint_last.pt"
    line = said(lambda: tiny.generate(laft.data, checkpoint, *generate))
    assert line.startswith("no adapter for language zh_CN (there are: en_XX, fr_XX)")


def test_a_backbone_with_code_in_it(
    training: Callable[..., str], laft: Run, tmp_path: Path
) -> None:
    """As a backbone, to start from and to generate with; nothing of it runs."""
    created, path = tmp_path / "created", tmp_path / "evil.pt"
    content = torch.load(laft.stage1, weights_only=True)
    torch.save({**content, "args": tiny.Harmful(created)}, path)
    lines = [
        training("denoising", *laft.parts, "--backbone", path),
        training("generation", *laft.parts, "--finetune-from-model", path),
        said(lambda: tiny.generate(laft.data, path, *GENERATE)),
    ]
    assert all(line.startswith(f"{path}: refused") for line in lines)
    assert not created.exists()
