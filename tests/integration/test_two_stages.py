"""Both stages by fairseq-train's own command line: what moves, what stays, what is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.hub.loading import load_model
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.tasks.laft_task import LaftTask
from tests import tiny
from tests.integration.conftest import SAVING, Run

State = dict[str, Tensor]


@pytest.fixture(scope="module", params=list(TagLayout), ids=str)
def laft(request: pytest.FixtureRequest, runs: Callable[[TagLayout], Run]) -> Run:
    """In both tag layouts."""
    return runs(request.param)


def whole(checkpoint: Path, laft: Run) -> State:
    """Every tensor of what a slim checkpoint loads as."""
    return tiny.tensors_of(load_model(str(checkpoint), str(laft.data))[0])


def moved(before: State, after: State) -> set[str]:
    return {name for name in after if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_the_backbone_stays_bit_for_bit(laft: Run, stage: str) -> None:
    state = whole(getattr(laft, stage), laft)
    backbone = backbones.read(str(laft.backbone)).state
    assert len(backbone) == 97
    assert not moved(backbone, {name: state[name] for name in backbone})


def test_stage_1_moves_all_that_it_trains(laft: Run) -> None:
    """Task module, fusion and adapters, between its second and its last update."""
    before = torch.load(laft.stage1.with_name("checkpoint_1_2.pt"), weights_only=True)["model"]
    after = torch.load(laft.stage1, weights_only=True)["model"]
    trained = {name for name in after if backbones.is_added(name) and "components" not in name}
    still = trained - moved(before, after)
    assert len(trained) == 32 + 4 + 36
    assert {name for name in still if "k_proj.bias" not in name} == set()  # softmax ignores it


def test_stage_2_moves_the_task_module_alone(laft: Run) -> None:
    first, second = whole(laft.stage1, laft), whole(laft.stage2, laft)
    changed = moved(first, second)
    assert set(first) == set(second)
    assert all(name.startswith("encoder.task_module.") for name in changed)
    assert {f"encoder.task_module.{n}.fc2.weight" for n in range(2)} <= changed


def test_rouge_of_the_target_languages_chooses_the_checkpoint(laft: Run) -> None:
    best = laft.stage2.with_name("checkpoint_best.pt")
    extra = torch.load(best, weights_only=True)["extra_state"]
    assert 0.0 <= extra["val_loss"] <= 100.0
    assert extra["best"] == extra["val_loss"]


class Killed(Exception):
    """Stands for a signal that nothing can catch."""


def kill_at(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Let the training die at a step."""
    stock, count = LaftTask.train_step, 0

    def train_step(self: LaftTask, *args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        if count > steps:
            raise Killed
        return stock(self, *args, **kwargs)

    monkeypatch.setattr(LaftTask, "train_step", train_step)


def six_updates(stage: str, laft: Run) -> list[str]:
    """Flags of a run of two epochs of three updates."""
    flags = ["--max-update", "6", "--batch-size", "20", "--save-interval-updates", "4", *SAVING]
    if stage == "denoising":
        return [*flags, *laft.parts]
    start = ["--method", "laft", "--backbone", str(laft.backbone)]
    return [*flags, *start, "--finetune-from-model", str(laft.stage1)]


@pytest.mark.parametrize(
    ("stage", "steps", "last", "layout"),
    [
        ("denoising", 5, 4, TagLayout.PREFIX),
        ("generation", 3, 3, TagLayout.SUFFIX),  # in an epoch: test_adversarial.py
    ],
)
def test_killed_and_resumed_equals_unbroken(
    runs: Callable[[TagLayout], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str,
    steps: int, last: int, layout: TagLayout,
) -> None:  # fmt: skip
    """Killed in the middle of an epoch (saved at 4) and between epochs (saved at 3)."""
    laft = runs(layout)
    flags = six_updates(stage, laft)
    unbroken = tiny.train(laft.data, tmp_path / "unbroken", stage, *flags)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, steps)
        tiny.train(laft.data, tmp_path / "killed", stage, *flags)
    saved = torch.load(tmp_path / "killed" / "checkpoint_last.pt", weights_only=True)
    assert saved["optimizer_history"][-1]["num_updates"] == last
    resumed = tiny.train(laft.data, tmp_path / "killed", stage, *flags)
    assert set(resumed["model"]) == set(unbroken["model"])
    assert not moved(unbroken["model"], resumed["model"])
    assert moved(saved["model"], resumed["model"])
    assert resumed["optimizer_history"][-1]["num_updates"] == 6


@pytest.mark.parametrize(
    ("method", "flags"),
    [
        ("mbart_full", ["--mix-denoising", "0.5"]),
        ("mbart_attn_qk", []),
        ("lora", ["--lora-rank", "2", "--mix-denoising", "0.25", "--mix-langs", "zh_CN"]),
    ],
)
def test_other_systems_train_what_they_name(
    runs: Callable[[TagLayout], Run], tmp_path: Path, method: str, flags: list[str]
) -> None:
    laft = runs(TagLayout.SUFFIX)
    tiny.train(laft.data, tmp_path / "run", "generation", "--method", method, "--max-update", "2",
               "--backbone", laft.backbone, "--train-langs", "en_XX", *flags,
               *SAVING)  # fmt: skip
    backbone = backbones.read(str(laft.backbone)).state
    state = whole(tmp_path / "run" / "checkpoint_last.pt", laft)
    # LoRA's B, which began at zero; of A nothing tells how it began
    backbone |= {name: torch.zeros_like(state[name]) for name in state if ".lora_B." in name}
    changed = moved(backbone, {name: state[name] for name in backbone})
    trained = tiny.model(method=method).named_parameters(remove_duplicate=False)
    expected = {name for name, p in trained if p.requires_grad and ".lora_A." not in name}
    assert changed <= expected
    assert {name for name in expected if "k_proj.bias" not in name} <= changed
