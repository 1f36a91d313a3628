"""What may be a start: --finetune-from-model beside --backbone, components and other options."""

import json
import logging
import shutil
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.checkpoints.header import HEADER_KEY
from laft_fairseq.checkpoints.reading import text_tensor
from laft_fairseq.cli import main
from laft_fairseq.components import file as components_file
from laft_fairseq.hub.loading import load_model
from tests import tiny
from tests.integration.conftest import SAVING, Run
from tests.integration.test_bad_input import said

STAGE2 = ("--method", "laft", "--train-langs", "en_XX", "--max-update", "1", *SAVING)


@pytest.fixture
def stage2(laft: Run, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """One update of stage 2 with more flags."""

    def run(*flags: str | Path) -> dict[str, Any]:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        return tiny.train(laft.data, tmp_path / "run", "generation", *STAGE2, *flags)

    return run


@pytest.fixture(scope="module")
def whole(laft: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stage 1, exported whole."""
    path = tmp_path_factory.mktemp("whole") / "whole.pt"
    fairseq, level = logging.getLogger("fairseq"), logging.getLogger("fairseq").level
    assert main.main(["export", "--checkpoint", str(laft.stage1), "--out", str(path)]) == 0
    fairseq.setLevel(level)  # the command makes it quiet
    return path


@pytest.fixture(scope="module")
def other(laft: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another backbone of the same shape."""
    content = torch.load(laft.backbone, weights_only=True)
    content["model"]["encoder.layers.0.fc1.bias"] += 1
    path = tmp_path_factory.mktemp("other") / "other.pt"
    torch.save(content, path)
    return path


def components(laft: Run, path: Path, fingerprint: str = "", seed: int = 0) -> Path:
    """The run's components, of another backbone, or other ones of this backbone."""
    file = components_file.load(laft.components, with_statistics=True)
    held = {tag: entry.statistics for tag, entry in file.languages.items() if entry.statistics}
    if seed:
        rows = torch.randn(50, tiny.D, generator=torch.Generator().manual_seed(seed))
        held["fr_XX"] = type(held["fr_XX"]).zeros(tiny.D)
        held["fr_XX"].update(rows)
    components_file.save(path, held, tiny.K, fingerprint or file.fingerprint)
    return path


def test_a_stock_checkpoint_goes_to_backbone(
    laft: Run, stage2: Callable[..., Any], tmp_path: Path
) -> None:
    """Nothing in it says its languages' order or its heads."""
    content = torch.load(laft.stage1.parent.parent / "pretrained" / "checkpoint_last.pt",
                         weights_only=True)  # fmt: skip
    content["model"].pop(HEADER_KEY)
    args = Namespace(arch="mbart_large", task="translation_from_pretrained_bart", data="x")
    vars(args).update(langs="zh_CN,fr_XX,en_XX", encoder_attention_heads=4, optimizer="adam")
    vars(args).update(criterion="cross_entropy", lr_scheduler="fixed", lr=[0.1])
    torch.save({**content, "cfg": None, "args": args}, tmp_path / "stock.pt")
    for option in ("--finetune-from-model", "--restore-file"):
        flags = (option, tmp_path / "stock.pt", "--language-components", laft.components)
        line = said(lambda flags=flags: stage2(*flags))
        assert line.startswith(f"{tmp_path / 'stock.pt'}: ") and "--backbone" in line


def test_other_components_than_the_checkpoints(
    laft: Run, stage2: Callable[..., Any], tmp_path: Path
) -> None:
    """Refused whether the backbone is named or not; the same ones made anew are not."""
    given = ("--finetune-from-model", laft.stage1, "--language-components")
    path = components(laft, tmp_path / "other.safetensors", seed=9)
    for more in ((), ("--backbone", laft.backbone)):
        line = said(lambda more=more: stage2(*given, path, *more))
        assert line.startswith(f"{path}: ") and f"{laft.stage1} was trained with" in line
    path = components(laft, tmp_path / "foreign.safetensors", fingerprint="f" * 32)
    line = said(lambda: stage2(*given, path))
    assert line.startswith(f"{path}: components of another backbone")
    stage2(*given, components(laft, tmp_path / "again.safetensors"))


def test_a_whole_checkpoint_with_another_backbone(
    laft: Run, stage2: Callable[..., Any], whole: Path, other: Path, tmp_path: Path
) -> None:
    line = said(lambda: stage2("--finetune-from-model", whole, "--backbone", other))
    assert line.startswith(f"{whole}: ") and str(other) in line
    path = components(laft, tmp_path / "foreign.safetensors", fingerprint="f" * 32)
    flags = ("--finetune-from-model", whole, "--language-components", path)
    assert said(lambda: stage2(*flags)).startswith(f"{path}: components of another backbone")


def test_a_whole_checkpoint_keeps_its_backbones_name(
    laft: Run, stage2: Callable[..., Any], whole: Path
) -> None:
    fingerprint = backbones.read(str(laft.backbone)).fingerprint
    for more in ((), ("--backbone", laft.backbone)):
        header = tiny.header_of(stage2("--finetune-from-model", whole, *more)["model"])
        assert (header.kind, header.fingerprint) == ("whole", fingerprint)
        assert header.backbone == str(laft.backbone)


def older(laft: Run, path: Path, **changed: str) -> Path:
    """Stage 1 as it was saved before headers had options and untrained parts."""
    content = torch.load(laft.stage1, weights_only=True)
    header = vars(tiny.header_of(content["model"])) | changed
    for name in ("options", "untrained"):
        del header[name]
    content["model"][HEADER_KEY] = text_tensor(json.dumps(header))
    torch.save(content, path)
    return path


def test_the_backbone_that_is_found_is_asked_too(
    laft: Run, stage2: Callable[..., Any], tmp_path: Path
) -> None:
    """Of an older checkpoint, without --backbone: its recorded path says the heads."""
    content = torch.load(laft.backbone, weights_only=True)
    content["model"].pop(HEADER_KEY)
    args = Namespace(encoder_attention_heads=2, decoder_attention_heads=2)
    torch.save({**content, "args": args}, tmp_path / "recording.pt")
    start = older(laft, tmp_path / "old.pt", backbone=str(tmp_path / "recording.pt"))
    line = said(lambda: stage2("--finetune-from-model", start, "--encoder-attention-heads", "4"))
    assert line.startswith(f"{tmp_path / 'recording.pt'}: ")
    options = tiny.header_of(stage2("--finetune-from-model", start)["model"]).options
    assert options["encoder_attention_heads"] == 2


@pytest.mark.parametrize(
    ("kind", "flags", "named"),
    [
        ("slim", ("--language-adapter-dim", "8"), "--language-adapter-dim 16, not 8"),
        ("whole", ("--task-module-layers", "1"), "--task-module-layers 2, not 1"),
        ("slim", ("--task-module-layers", "3"), "--task-module-layers 2, not 3"),
        ("slim", ("--encoder-ffn-embed-dim", "128"), ".fc1.weight is (64, 32)"),
        ("slim", ("--encoder-attention-heads", "4"), "--encoder-attention-heads 2"),
        ("whole", ("--activation-fn", "relu"), "--activation-fn gelu"),
        ("whole", ("--no-scale-embedding",), "--no-scale-embedding"),
    ],
)
def test_a_model_of_another_shape(
    laft: Run, stage2: Callable[..., Any], whole: Path, kind: str, flags: tuple[str, ...],
    named: str,
) -> None:  # fmt: skip
    """Than stage 1's, slim or whole, or than its backbone, whether or not a tensor shows it."""
    start = laft.stage1 if kind == "slim" else whole
    line = said(lambda: stage2("--finetune-from-model", start, *flags))
    assert line.startswith((f"{start}: ", f"{laft.backbone}: "))
    assert named in line


def cut(laft: Run, checkpoint: Path) -> int:
    """The most tokens of a source that fairseq-generate reads, the tag included."""
    flags = ("--task", "laft_generation", "--gen-lang", "en_XX", "--beam", "1", "--max-len-b", "3")
    lines = tiny.generate(laft.data, checkpoint, *flags)
    return max(len(line.split("\t")[1].split()) for line in lines if line.startswith("S-"))


@pytest.mark.parametrize("start", ["backbone", "whole"])
def test_positions_only_cut_texts(
    laft: Run, stage2: Callable[..., Any], whole: Path, tmp_path: Path, start: str
) -> None:
    """Tables of 64 positions stay; training cuts to 8 tokens, use reads whole texts."""
    flags: tuple[str | Path, ...] = ("--finetune-from-model", whole)
    if start == "backbone":
        flags = ("--finetune-from-model", laft.stage1, "--backbone", laft.backbone)
    short = ("--max-source-positions", "8", "--max-target-positions", "8")
    content = stage2(*flags, *short)
    assert content["cfg"]["task"]["max_source_positions"] == 8
    assert vars(content["cfg"]["model"])["max_source_positions"] == 64
    model, _ = load_model(str(tmp_path / "run" / "checkpoint_last.pt"), str(laft.data))
    assert model.max_positions() == (64, 64)
    assert cut(laft, tmp_path / "run" / "checkpoint_last.pt") > 8
    again = tiny.train(laft.data, tmp_path / "run", "generation", *STAGE2, *flags, *short,
                       "--max-update", "2")  # fmt: skip
    assert again["optimizer_history"][-1]["num_updates"] == 2
