"""Parts that stage 1 has not trained are recorded and named in a warning."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from laft_fairseq.checkpoints.header import HEADER_KEY, pop_header
from laft_fairseq.checkpoints.reading import text_tensor
from laft_fairseq.hub.loading import load_model
from tests import tiny
from tests.integration.conftest import SAVING, Run

ONE = ("--max-update", "1", *SAVING)
STAGE2 = ("--train-langs", "en_XX", *ONE)
GENERATE = ("--task", "laft_generation", "--beam", "1", "--max-len-b", "3", "--gen-lang")


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The warnings about such parts, since it was called last."""

    def actual() -> list[str]:
        records = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        caplog.clear()
        return [
            line
            for line in records
            if "trained neither here" in line or "was never trained" in line
        ]

    return actual


def untrained(content: dict[str, Any]) -> list[str]:
    header, _ = pop_header(dict(content["model"]))
    assert header is not None
    return header.untrained


def test_all_is_trained_in_the_usual_chain(
    laft: Run, tmp_path: Path, warned: Callable[[], list[str]]
) -> None:
    flags = ("--method", "laft", "--backbone", laft.backbone, "--finetune-from-model", laft.stage1)
    assert untrained(torch.load(laft.stage1, weights_only=True)) == []
    assert untrained(tiny.train(laft.data, tmp_path, "generation", *flags, *STAGE2)) == []
    tiny.generate(laft.data, tmp_path / "checkpoint_last.pt", *GENERATE, "fr_XX")
    assert warned() == []


def test_without_stage_1(laft: Run, tmp_path: Path, warned: Callable[[], list[str]]) -> None:
    """One warning names all; the checkpoint records it, resumed and in use."""
    flags = (*laft.parts, *STAGE2, "--adapter-langs", "en_XX,fr_XX", "--eval-rouge",
             "--eval-rouge-beam", "1", "--eval-rouge-max-len", "3")  # fmt: skip
    parts = ["fusion", "language_adapter.en_XX", "language_adapter.fr_XX"]
    for updates in ("2", "4"):
        more = (*flags, "--max-update", updates, "--valid-langs", "fr_XX")
        content = tiny.train(laft.data, tmp_path, "generation", *more)
        assert untrained(content) == parts
        (line,) = warned()
        assert "before: the fusion and the language adapters of en_XX, fr_XX; train" in line
        assert "--finetune-from-model" in line
    tiny.generate(laft.data, tmp_path / "checkpoint_last.pt", *GENERATE, "fr_XX")
    (line,) = warned()
    assert "the tag of fr_XX was never trained: train stage 1 with fr_XX among" in line


def test_stage_1_trains_the_adapters_of_its_languages(
    laft: Run, tmp_path: Path, warned: Callable[[], list[str]]
) -> None:
    """English was not among them; stage 2 gives it an adapter that stays as it begins."""
    others = ("--train-langs", "fr_XX,zh_CN", *ONE)
    stage1 = tiny.train(laft.data, tmp_path / "1", "denoising", *laft.parts, *others)
    assert (untrained(stage1), warned()) == ([], [])
    start = ("--method", "laft", "--finetune-from-model", tmp_path / "1" / "checkpoint_last.pt")
    stage2 = tiny.train(laft.data, tmp_path / "2", "generation", *start, *STAGE2)
    assert untrained(stage2) == ["language_adapter.en_XX"]
    assert [line.split("; ")[0] for line in warned()] == [
        "trained neither here nor before: the language adapters of en_XX"
    ]
    last = tmp_path / "2" / "checkpoint_last.pt"
    for tag, warnings in (("zh_CN", 0), ("en_XX", 1)):
        tiny.generate(laft.data, last, *GENERATE, tag)
        assert len(warned()) == warnings
    model, _ = load_model(str(last), str(laft.data))
    again = ("--finetune-from-model", last, *laft.parts, "--train-langs", "en_XX", *ONE)
    trained = tiny.train(laft.data, tmp_path / "3", "denoising", *again)
    assert model.untrained == {"language_adapter.en_XX"}
    assert untrained(trained) == []


def test_an_older_header_says_nothing(
    laft: Run, tmp_path: Path, warned: Callable[[], list[str]]
) -> None:
    """What it holds counts as trained; what it lacks does not."""
    content = torch.load(laft.stage1, weights_only=True)
    header, _ = pop_header(dict(content["model"]))
    values = {k: v for k, v in vars(header).items() if k not in ("options", "untrained")}
    content["model"] = {k: t for k, t in content["model"].items() if "adapter.en_XX" not in k}
    content["model"][HEADER_KEY] = text_tensor(json.dumps(values))
    torch.save(content, tmp_path / "old.pt")
    start = ("--method", "laft", "--finetune-from-model", tmp_path / "old.pt")
    stage2 = tiny.train(laft.data, tmp_path / "2", "generation", *start, *STAGE2)
    assert untrained(stage2) == ["language_adapter.en_XX"]
    assert len(warned()) == 1
