"""Which training may go on in a folder; the commands are in tests/integration/test_resuming.py."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch

from laft_fairseq.checkpoints import resuming
from laft_fairseq.errors import LaftError

TAGS = ("en_XX", "fr_XX", "zh_CN")
SAVED = {"_name": "laft_generation", "train_langs": "en_XX", "target_langs": None}


def check(folder: Path, saved: dict[str, Any], reset: bool = False, start: str | None = None,
          begun: str | None = None, **now: Any) -> None:  # fmt: skip
    content = {"cfg": {"checkpoint": {"finetune_from_model": begun}, "task": saved}}
    torch.save(content, folder / "checkpoint_last.pt")
    cfg = Namespace(save_dir=str(folder), finetune_from_model=start, reset_dataloader=reset,
                    restore_file="checkpoint_last.pt")  # fmt: skip
    resuming.check(cfg, Namespace(**{**SAVED, **now}), TAGS)


def test_what_it_began_from(tmp_path: Path) -> None:
    """The same, its copy, or a path that is gone; a new iterator is asked for without it."""
    paths = {name: str(tmp_path / f"{name}.pt") for name in ("one", "copy", "other", "gone")}
    for name, text in {"one": "1", "copy": "1", "other": "2"}.items():
        Path(paths[name]).write_text(text)
    for start in (paths["one"], paths["copy"], paths["gone"]):
        check(tmp_path, SAVED, start=start, begun=paths["one"])
    check(tmp_path, SAVED, reset=True, begun=paths["one"])
    for start, begun in (
        (paths["other"], paths["one"]),
        (None, paths["one"]),
        (paths["one"], None),
    ):
        with pytest.raises(LaftError, match="that training started from"):
            check(tmp_path, SAVED, start=start, begun=begun)


@pytest.mark.parametrize(
    ("saved", "now"),
    [
        ({}, {}),
        ({"train_langs": "en_XX,fr_XX"}, {"train_langs": "en_XX, fr_XX"}),
        ({"train_langs": None}, {"train_langs": "en_XX,fr_XX,zh_CN"}),
        ({"target_rows": "pairs"}, {}),  # no option of this task
    ],
)
def test_the_same_training_goes_on(
    tmp_path: Path, saved: dict[str, Any], now: dict[str, Any]
) -> None:
    check(tmp_path, SAVED | saved, **now)


@pytest.mark.parametrize(
    ("saved", "now", "message"),
    [
        ({"train_langs": None}, {}, "--train-langs en_XX,fr_XX,zh_CN, not en_XX;"),
        ({}, {"train_langs": None}, "--train-langs en_XX, not en_XX,fr_XX,zh_CN;"),
        ({"_name": "laft_denoising"}, {}, "--task laft_denoising, not laft_generation;"),
        ({}, {"target_langs": "fr_XX"}, "--target-langs none, not fr_XX;"),
        ({"target_rows": "pairs"}, {"target_rows": "monolingual"}, "--target-rows pairs, not mono"),
    ],
)
def test_another_one_is_refused(
    tmp_path: Path, saved: dict[str, Any], now: dict[str, Any], message: str
) -> None:
    with pytest.raises(LaftError, match=message):
        check(tmp_path, SAVED | saved, **now)
    check(tmp_path, SAVED | saved, reset=True, **now)


def test_what_cannot_be_read_is_left_to_who_reads_it_whole(tmp_path: Path) -> None:
    check(tmp_path, SAVED)
    path = tmp_path / "checkpoint_last.pt"
    path.write_bytes(path.read_bytes()[:50])
    cfg = Namespace(save_dir=str(tmp_path), finetune_from_model=None, reset_dataloader=False,
                    restore_file="checkpoint_last.pt")  # fmt: skip
    resuming.check(cfg, Namespace(**SAVED), TAGS)
