"""LAFT from nothing, once a session and tag layout: a backbone, its components, both stages."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.components import file as components_file
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.method.language_components import ComponentStatistics
from laft_fairseq.method.removal import sentence_mean
from tests import tiny

SAVING = ("--no-epoch-checkpoints", "--disable-validation")
ROUGE = ("--eval-rouge", "--eval-rouge-beam", "2", "--eval-rouge-max-len", "6",
         "--best-checkpoint-metric", "rougeL", "--maximize-best-checkpoint-metric")  # fmt: skip


@dataclass(frozen=True)
class Run:
    """Where everything lies."""

    data: Path
    backbone: Path
    components: Path
    stage1: Path
    stage2: Path
    layout: TagLayout = TagLayout.SUFFIX

    @property
    def parts(self) -> tuple[str, ...]:
        """The flags of stage 1: what training begins with."""
        return ("--method", "laft", "--backbone", str(self.backbone),
                "--language-components", str(self.components))  # fmt: skip


def write_components(path: Path, backbone: Path, layout: TagLayout = TagLayout.SUFFIX) -> Path:
    """Estimate c_L of each language on the texts that train."""
    model = tiny.model(method="mbart_full", layout=layout)
    model.load_backbone(backbones.read(str(backbone)))
    statistics = {}
    for tag in tiny.TAGS:
        statistics[tag] = ComponentStatistics.zeros(tiny.D)
        for text in tiny.random_texts(tag, 20):
            tokens = layout.tagged(torch.tensor(text), *tiny.ids(f"[{tag}]"))[None]  # (1, T)
            e = model.encoder.forward_backbone(tokens)["encoder_out"][0].detach()  # (T, 1, d)
            mask = model.encoder.language_tags.text_mask(tokens)
            statistics[tag].update(sentence_mean(e, mask))
    components_file.save(path, statistics, tiny.K, model.fingerprint, layout=layout)
    return path


def both_stages(home: Path, layout: TagLayout) -> Run:
    """English is annotated; French and Chinese have text alone."""
    data = tiny.write_data(home / "data-bin", layout=layout)
    pretrained = tiny.train(
        data, home / "pretrained", "denoising", "--method", "mbart_full", "--max-update", "4",
        *SAVING,
    )  # fmt: skip
    torch.save({"model": pretrained["model"]}, home / "model.pt")
    components = write_components(home / "components.safetensors", home / "model.pt", layout=layout)
    run = Run(data, home / "model.pt", components, home / "stage1" / "checkpoint_last.pt",
              home / "stage2" / "checkpoint_last.pt", layout)  # fmt: skip
    tiny.train(data, home / "stage1", "denoising", *run.parts, "--max-update", "4",
               "--batch-size", "20", "--save-interval-updates", "2", *SAVING)  # fmt: skip
    tiny.train(
        data, home / "stage2", "generation", "--method", "laft", "--backbone", run.backbone,
        "--finetune-from-model", run.stage1, "--train-langs", "en_XX", "--max-update", "3",
        "--valid-langs", "fr_XX,zh_CN", "--no-epoch-checkpoints", *ROUGE,
    )  # fmt: skip
    return run


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[TagLayout], Run]:
    """The run of each tag layout, made when it is first asked for."""
    return cache(lambda layout: both_stages(tmp_path_factory.mktemp(f"laft-{layout}"), layout))


@pytest.fixture(scope="session")
def laft(runs: Callable[[TagLayout], Run]) -> Run:
    """mBART-cc25's layout; modules that try both take its place by one of their own."""
    return runs(TagLayout.SUFFIX)
