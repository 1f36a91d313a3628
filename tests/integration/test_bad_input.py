"""Wrong input: one clear line that names the file, the language and what to do."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from safetensors import safe_open

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


@pytest.fixture
def data(laft: Run, tmp_path: Path) -> Path:
    """A copy of the data, to be spoilt."""
    return Path(shutil.copytree(laft.data, tmp_path / "data-bin"))


@pytest.fixture
def with_components(laft: Run, training: Callable[..., str]) -> Callable[[Path], str]:
    return lambda path: training("denoising", *laft.parts, "--language-components", path)


def test_unknown_language(training: Callable[..., str], laft: Run) -> None:
    said_in_training = training("denoising", *laft.parts, "--train-langs", "en_XX,de_DE")
    assert "unknown language de_DE" in said_in_training
    assert "en_XX, fr_XX, zh_CN" in said_in_training
    flags = ("--task", "laft_generation", "--gen-lang", "de_DE")
    line = said(lambda: tiny.generate(laft.data, laft.stage2, *flags))
    assert line.startswith("--gen-lang: unknown language de_DE")


def test_an_adversary_is_not_forgotten(training: Callable[..., str], laft: Run) -> None:
    """The row would be trained, and stand in a table, as what it is not."""
    line = training("generation", "--method", "tm_adv", "--backbone", laft.backbone,
                    "--train-langs", "en_XX")  # fmt: skip
    assert line.startswith("--method tm_adv: needs its adversary; add")
    assert "--criterion laft_adversarial --target-langs" in line


def test_a_colon_in_the_datas_path(training: Callable[..., str], laft: Run, tmp_path: Path) -> None:
    """fairseq takes what stands before it for the folder."""
    there = Path(shutil.copytree(laft.data, tmp_path / "10:00"))
    line = training("denoising", *laft.parts, data=there)
    assert "10:00: fairseq splits paths at ':'" in line


def test_languages_in_another_order_than_the_checkpoints(laft: Run) -> None:
    flags = (*GENERATE, "--langs", "fr_XX,en_XX,zh_CN")
    line = said(lambda: tiny.generate(laft.data, laft.stage2, *flags))
    assert str(laft.stage2) in line
    assert "en_XX,fr_XX,zh_CN, in this order" in line
    assert "fr_XX,en_XX,zh_CN" in line


def test_languages_in_another_order_than_the_backbones(
    training: Callable[..., str], laft: Run
) -> None:
    line = training("denoising", *laft.parts, "--langs", "fr_XX,en_XX,zh_CN")
    assert str(laft.backbone) in line
    assert "fr_XX,en_XX,zh_CN" in line


def test_missing_components(with_components: Callable[[Path], str], tmp_path: Path) -> None:
    assert "absent.safetensors: no such components file" in with_components(
        tmp_path / "absent.safetensors"
    )


@pytest.mark.parametrize("kept", [0, 100, 5000])
def test_truncated_components(
    with_components: Callable[[Path], str], laft: Run, tmp_path: Path, kept: int
) -> None:
    path = tmp_path / "c.safetensors"
    path.write_bytes(laft.components.read_bytes()[:kept])
    assert f"{path}: corrupt, truncated or not a safetensors file" in with_components(path)


def rewritten(source: Path, path: Path, **tensors: torch.Tensor) -> Path:
    """A components file with some tensors replaced."""
    with safe_open(source, framework="pt") as handle:
        metadata = handle.metadata()
    content = {**safetensors.torch.load_file(source), **tensors}
    safetensors.torch.save_file(content, path, metadata)
    return path


def test_all_zero_components(
    with_components: Callable[[Path], str], laft: Run, tmp_path: Path
) -> None:
    zeros = {"components.fr_XX": torch.zeros(tiny.D, tiny.K)}
    path = rewritten(laft.components, tmp_path / "c.safetensors", **zeros)
    assert f"{path}: language fr_XX: components all zero" in with_components(path)


def test_corrupt_components(
    with_components: Callable[[Path], str], laft: Run, tmp_path: Path
) -> None:
    means = {"mean_scaled.zh_CN": torch.ones(tiny.D)}
    path = rewritten(laft.components, tmp_path / "c.safetensors", **means)
    assert f"{path}: language zh_CN: mean_scaled corrupt" in with_components(path)


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


def test_components_of_another_k(training: Callable[..., str], laft: Run, tmp_path: Path) -> None:
    path = write_components(tmp_path / "c.safetensors", laft.backbone, k=2)
    flags = (*laft.parts, "--language-components", path, "--finetune-from-model", laft.stage1)
    line = training("generation", *flags)
    assert line.startswith(f"{path}: 2 components for ")
    assert "trained with 3" in line


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


class Malicious:
    """Creates a file when a careless reader unpickles it."""

    def __init__(self, created: Path) -> None:
        self.created = created

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.created,))


def test_a_backbone_with_code_in_it(
    training: Callable[..., str], laft: Run, tmp_path: Path
) -> None:
    """As a backbone, to start from and to generate with; nothing of it runs."""
    created, path = tmp_path / "created", tmp_path / "evil.pt"
    content = torch.load(laft.stage1, weights_only=True)
    torch.save({**content, "args": Malicious(created)}, path)
    lines = [
        training("denoising", *laft.parts, "--backbone", path),
        training("generation", *laft.parts, "--finetune-from-model", path),
        said(lambda: tiny.generate(laft.data, path, *GENERATE)),
    ]
    assert all(line.startswith(f"{path}: refused") for line in lines)
    assert not created.exists()


def test_a_backbone_that_is_no_mbart(
    training: Callable[..., str], laft: Run, tmp_path: Path
) -> None:
    torch.save({"model": {"embeddings.weight": torch.ones(3, 3)}}, tmp_path / "bert.pt")
    line = training("denoising", *laft.parts, "--backbone", tmp_path / "bert.pt")
    assert line.startswith(f"{tmp_path / 'bert.pt'}: not a pre-norm mBART")
    line = training("denoising", *laft.parts, "--backbone", tmp_path / "absent.pt")
    assert line.startswith(f"{tmp_path / 'absent.pt'}: no such checkpoint")


@pytest.mark.parametrize("kept", [0.3, 0.95])
def test_a_truncated_checkpoint(laft: Run, tmp_path: Path, kept: float) -> None:
    path, content = tmp_path / "c.pt", laft.stage2.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    line = said(lambda: tiny.generate(laft.data, path, *GENERATE))
    assert line.startswith(f"{path}: corrupt or truncated checkpoint")


def test_a_checkpoint_that_is_not_there(laft: Run, tmp_path: Path) -> None:
    line = said(lambda: tiny.generate(laft.data, tmp_path / "c.pt", *GENERATE))
    assert line == f"{tmp_path / 'c.pt'}: no such checkpoint"


def test_a_slim_checkpoint_whose_backbone_is_gone(laft: Run) -> None:
    hidden = laft.backbone.with_suffix(".hidden")
    laft.backbone.rename(hidden)
    try:
        line = said(lambda: tiny.generate(laft.data, laft.stage2, *GENERATE))
    finally:
        hidden.rename(laft.backbone)
    assert line.startswith(f"{laft.stage2}: a slim checkpoint needs its backbone")
    assert "LAFT_BACKBONE" in line


def test_source_and_target_of_different_length(
    training: Callable[..., str], laft: Run, data: Path
) -> None:
    tiny.write_texts(data / "en_XX" / "train.src-tgt.tgt", [[5, 2]] * 19)
    flags = ("--method", "mbart_full", "--backbone", laft.backbone, "--train-langs", "en_XX")
    line = training("generation", *flags, data=data)
    assert "train.src-tgt.src has 20 lines but" in line
    assert "train.src-tgt.tgt has 19 (language en_XX)" in line


def test_empty_or_missing_data(training: Callable[..., str], laft: Run, data: Path) -> None:
    prefix = data / "fr_XX" / "train"
    tiny.write_texts(prefix, [])
    assert training("denoising", *laft.parts, data=data).startswith(
        f"{prefix}.bin: no text of language fr_XX"
    )
    Path(f"{prefix}.idx").unlink()
    assert training("denoising", *laft.parts, data=data).startswith(
        f"{prefix}.idx: no such data for language fr_XX"
    )
    line = training("denoising", *laft.parts, data=data / "absent")
    assert line == f"{data / 'absent'}: no such data directory"


def test_a_dictionary_that_does_not_fit(
    training: Callable[..., str], laft: Run, data: Path
) -> None:
    with (data / "dict.txt").open("a") as file:
        file.write("surplus 1\n")
    line = training("denoising", *laft.parts, data=data)
    rows = len(tiny.dictionary())
    assert line.startswith(f"{laft.backbone}: has {rows} embedding rows, but dict.txt")
    assert f"make {rows + 1}" in line
