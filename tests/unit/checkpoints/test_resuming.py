"""Which training may go on in a folder; the commands are in tests/integration/test_resuming.py."""

import os
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from laft_fairseq.checkpoints import resuming
from laft_fairseq.errors import LaftError

TAGS = ("en_XX", "fr_XX", "zh_CN")
SAVED = {"_name": "laft_generation", "train_langs": "en_XX", "target_langs": None}


def check(folder: Path, saved: dict[str, Any], reset: bool = False, start: str | None = None,
          begun: str | None = None, method: str = "laft", **now: Any) -> None:  # fmt: skip
    content = {"cfg": {"checkpoint": {"finetune_from_model": begun}, "task": saved,
                       "model": Namespace(method="laft")}}  # fmt: skip
    torch.save(content, folder / "checkpoint_last.pt")
    cfg = Namespace(save_dir=str(folder), finetune_from_model=start, reset_dataloader=reset,
                    restore_file="checkpoint_last.pt")  # fmt: skip
    resuming.check(cfg, Namespace(method=method), Namespace(**{**SAVED, **now}), TAGS)


def test_what_it_began_from(tmp_path: Path) -> None:
    """The same, its copy, or a path that is gone; a new iterator is asked for without it."""
    paths = {name: str(tmp_path / f"{name}.pt") for name in ("one", "copy", "other", "gone")}
    for name, text in {"one": "1", "copy": "1", "other": "2"}.items():
        Path(paths[name]).write_text(text)
    for start in (paths["one"], paths["copy"]):
        check(tmp_path, SAVED, start=start, begun=paths["one"])
    for start in (paths["one"], paths["gone"]):
        check(tmp_path, SAVED, start=start, begun=paths["gone"])
    check(tmp_path, SAVED, reset=True, begun=paths["one"])
    with pytest.raises(LaftError, match=r"^--finetune-from-model .*gone\.pt: no such checkpoint"):
        check(tmp_path, SAVED, start=paths["gone"], begun=paths["one"])
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
        ({}, {"method": "adapter"}, "--method laft, not adapter;"),
    ],
)
def test_another_one_is_refused(
    tmp_path: Path, saved: dict[str, Any], now: dict[str, Any], message: str
) -> None:
    with pytest.raises(LaftError, match=message):
        check(tmp_path, SAVED | saved, **now)
    check(tmp_path, SAVED | saved, reset=True, **now)


def write_run(folder: Path, *names: str) -> None:
    """Checkpoints of a run, each newer than the one before."""
    for age, name in enumerate(names):
        torch.save({"cfg": {}, "name": name, "w": torch.ones(4000)}, folder / name)
        os.utime(folder / name, (age, age))


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    """One bit of a weight: torch reads it as another number."""
    place = content.index(torch.ones(9).numpy().tobytes()) + 6
    return content[:place] + bytes([content[place] ^ 64]) + content[place + 1 :]


def check_run(folder: Path) -> None:
    cfg = Namespace(save_dir=str(folder), finetune_from_model=None,
                    restore_file="checkpoint_last.pt", reset_dataloader=False)  # fmt: skip
    resuming.check(cfg, Namespace(), Namespace(**SAVED), TAGS)


@pytest.mark.parametrize("damage", [cut, flip, lambda content: b"PK"])
def test_a_damaged_last_one_is_replaced_by_the_newest_whole_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes]
) -> None:
    """Best ones, which nobody resumes from, and other files do not take its place."""
    names = ("checkpoint_1_4.pt", "checkpoint1.pt", "checkpoint_1_6.pt", "checkpoint_best.pt",
             "checkpoint.best_loss_1.pt", "checkpoint1-copy.pt", "checkpoint_last.pt")  # fmt: skip
    write_run(tmp_path, *names)
    for name in ("checkpoint_last.pt", "checkpoint_1_6.pt"):
        (tmp_path / name).write_bytes(damage((tmp_path / name).read_bytes()))
        os.utime(tmp_path / name, (99, 99))
    check_run(tmp_path)
    assert torch.load(tmp_path / "checkpoint_last.pt")["name"] == "checkpoint1.pt"
    assert f"going on from {tmp_path / 'checkpoint1.pt'}, the newest whole" in caplog.text
    assert sorted(os.listdir(tmp_path)) == sorted(names)


def test_a_damaged_last_one_with_nothing_beside_it_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path, "checkpoint_best.pt", "checkpoint_last.pt")
    (tmp_path / "checkpoint_last.pt").write_bytes(b"PK")
    with pytest.raises(LaftError, match=r"last\.pt: .*, or delete it to start again"):
        check_run(tmp_path)
    assert (tmp_path / "checkpoint_last.pt").read_bytes() == b"PK"
