"""fairseq-validate: ROUGE-L by language; TM + adv's classifier as trained, or without numbers."""

from pathlib import Path
from typing import Any

import pytest
import torch

from laft_fairseq import register  # noqa: F401  registers the criterion in this process
from tests import tiny
from tests.integration.conftest import Run

FLAGS = ("--criterion", "laft_adversarial", "--train-langs", "en_XX", "--target-langs", "fr_XX",
         "--valid-langs", "en_XX,zh_CN", "--max-update", "3", "--no-epoch-checkpoints",
         "--log-format", "json")  # fmt: skip
OF_CLASSIFIER = {"accuracy", "accuracy_source", "accuracy_target", "loss_cls", "loss_adv"}
Numbers = dict[str, Any]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[Numbers]:
    """What fairseq prints at the end of each validation, by name."""
    from fairseq.logging.progress_bar import JsonProgressBar
    from fairseq_cli import validate

    actual: list[Numbers] = []

    def keep(bar: Any, stats: Numbers, tag: str, step: int) -> None:
        if tag == "valid":
            actual.append(dict(bar._format_stats(stats)))

    monkeypatch.setattr(JsonProgressBar, "print", keep)
    monkeypatch.setattr(validate, "reset_logging", lambda: None)  # it takes pytest's handlers off
    return actual


@pytest.fixture
def checkpoint(laft: Run, tmp_path: Path, printed: list[Numbers]) -> Path:
    """A few updates, and what the validation after them said."""
    parts = ("--method", "tm_adv_frozen", "--backbone", laft.backbone)
    tiny.train(laft.data, tmp_path, "generation", *FLAGS, *parts)
    return tmp_path / "checkpoint_last.pt"


def validate(data: Path, checkpoint: Path) -> None:
    from fairseq_cli.validate import cli_main

    flags = ("--path", checkpoint, "--task", "laft_generation", "--cpu", "--num-workers", "0")
    with tiny.command_line(data, *flags, "--batch-size", "8", "--log-format", "json"):
        cli_main()


def test_the_classifier_is_the_trained_one_and_without_one_nothing_is_reported_of_it(
    laft: Run, checkpoint: Path, printed: list[Numbers], tmp_path: Path
) -> None:
    validate(laft.data, checkpoint)
    expected, actual = printed[-2:]
    same = OF_CLASSIFIER | {"loss", "loss_gen", "gate"}
    assert {key: actual[key] for key in same} == {key: expected[key] for key in same}
    content = torch.load(checkpoint, weights_only=True)
    torch.save({**content, "criterion": None}, tmp_path / "without.pt")
    validate(laft.data, tmp_path / "without.pt")
    actual = printed[-1]
    assert not OF_CLASSIFIER & set(actual)
    assert actual["loss"] == expected["loss"] and actual["rows_source"] == expected["rows_source"]


def test_rouge_is_reported_of_a_checkpoint_trained_with_it(
    laft: Run, printed: list[Numbers]
) -> None:
    validate(laft.data, laft.stage2)
    rouge = {name for name in printed[-1] if name.startswith("rougeL")}
    assert rouge == {"rougeL", "rougeL_fr_XX", "rougeL_zh_CN"}
