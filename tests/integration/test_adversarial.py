"""TM + adv by fairseq-train: what it trains, resuming, both kinds of target rows."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from laft_fairseq import register  # noqa: F401  registers the criterion in this process
from laft_fairseq.checkpoints import backbone as backbones
from laft_fairseq.hub.loading import load_model
from tests import tiny
from tests.integration.conftest import SAVING, Run
from tests.integration.test_two_stages import Killed, kill_at, moved

ADVERSARIAL = ("--criterion", "laft_adversarial", "--train-langs", "en_XX",
               "--target-langs", "fr_XX,zh_CN", *SAVING)  # fmt: skip
CLASSIFIER = "classifier.linear.weight"
SIX = ("--max-update", "6", "--batch-size", "14", "--save-interval-updates", "4")


def parts(laft: Run, method: str) -> tuple[str, ...]:
    return ("--method", method, "--backbone", str(laft.backbone))


def whole(checkpoint: Path, laft: Run) -> dict[str, Tensor]:
    return nn.Module.state_dict(load_model(str(checkpoint), str(laft.data))[0])


@pytest.fixture(scope="module")
def stage1(laft: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stage 1 of the system: on the text that all systems see, with plain cross-entropy."""
    folder = tmp_path_factory.mktemp("tm_adv") / "stage1"
    tiny.train(laft.data, folder, "denoising", *parts(laft, "tm_adv_frozen"), "--max-update", "2",
               "--batch-size", "20", *SAVING)  # fmt: skip
    return folder / "checkpoint_last.pt"


def logged(caplog: pytest.LogCaptureFixture, name: str) -> list[dict[str, str]]:
    """The JSON lines that fairseq logs under this name (--log-format json)."""
    return [json.loads(r.message) for r in caplog.records if r.name == name and "{" in r.message]


def test_zero_shot_rows_of_the_frozen_system(
    laft: Run, stage1: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    flags = [*ADVERSARIAL, *parts(laft, "tm_adv_frozen"), *SIX, "--finetune-from-model",
             str(stage1), "--log-format", "json", "--log-interval", "1"]  # fmt: skip
    flags.remove("--disable-validation")
    with caplog.at_level(logging.INFO), caplog.at_level(logging.INFO, "fairseq"):
        unbroken = tiny.train(laft.data, tmp_path / "unbroken", "generation", *flags)
    assert "the checkpoint holds no language classifier: a new one is trained" in caplog.text
    _check_what_moved(laft, stage1, tmp_path / "unbroken" / "checkpoint_last.pt")
    _check_what_is_logged(logged(caplog, "train_inner"), logged(caplog, "valid"))

    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 5)
        tiny.train(laft.data, tmp_path / "killed", "generation", *flags)
    saved = torch.load(tmp_path / "killed" / "checkpoint_last.pt", weights_only=True)
    assert saved["optimizer_history"][-1]["num_updates"] == 4
    resumed = tiny.train(laft.data, tmp_path / "killed", "generation", *flags)
    for side in ("model", "criterion"):
        assert set(resumed[side]) == set(unbroken[side])
        assert not moved(unbroken[side], resumed[side])
        assert moved(saved[side], resumed[side])
    assert not moved(
        _flat(unbroken["last_optimizer_state"]), _flat(resumed["last_optimizer_state"])
    )


def _flat(optimizer: dict[str, Any]) -> dict[str, Tensor]:
    return {f"{n}.{key}": torch.as_tensor(value) for n, state in optimizer["state"].items()
            for key, value in state.items()}  # fmt: skip


def _check_what_moved(laft: Run, before: Path, after: Path) -> None:
    """Task module, gate and classifier, and nothing else; the checkpoint is slim."""
    first, last = whole(before, laft), whole(after, laft)
    content = torch.load(after, weights_only=True)
    changed = moved(first, last)
    assert set(first) == set(last)
    assert all(name.startswith(("encoder.task_module.", "encoder.gate.")) for name in changed)
    assert {"encoder.gate.linear.weight", "encoder.gate.linear.bias"} <= changed
    assert {f"encoder.task_module.{n}.fc2.weight" for n in range(2)} <= changed
    assert set(content["criterion"]) == {CLASSIFIER}
    assert not set(backbones.read(str(laft.backbone)).state) & set(content["model"])
    assert len(content["last_optimizer_state"]["state"]) == 32 + 2 + 1


def _check_what_is_logged(train: list[dict[str, str]], valid: list[dict[str, str]]) -> None:
    assert len(train) == 6
    for line in train:
        terms = sum(float(line[f"loss_{term}"]) for term in ("cls", "adv", "gen"))
        assert float(line["loss"]) == pytest.approx(terms, abs=2e-3)
        assert float(line["rows_source"]) == float(line["rows_target"]) > 0
        assert 0 < float(line["gate"]) < 1
        assert {"nll_loss", "ppl", "accuracy", "accuracy_source", "accuracy_target"} <= set(line)
    assert valid
    for line in valid:  # English pairs alone
        assert line["valid_loss"] == line["valid_loss_gen"]
        assert float(line["valid_rows_target"]) == 0
        assert "valid_accuracy_target" not in line and "valid_accuracy_source" in line


def test_translate_train_rows_of_the_whole_system(laft: Run, tmp_path: Path) -> None:
    flags = [*ADVERSARIAL, *parts(laft, "tm_adv"), "--target-rows", "pairs", "--max-update", "2"]
    content = tiny.train(laft.data, tmp_path, "generation", *flags, "--batch-size", "20")
    backbone = backbones.read(str(laft.backbone)).state
    state = content["model"]
    still = {name for name in backbone if torch.equal(backbone[name], state[name])}
    assert {name for name in still if "k_proj.bias" not in name} == set()  # softmax ignores it
    lines = tiny.generate(laft.data, tmp_path / "checkpoint_last.pt", "--task", "laft_generation",
                          "--gen-lang", "fr_XX", "--beam", "2", "--max-len-b", "5")  # fmt: skip
    assert sum(line.startswith("H-") for line in lines) == 5
