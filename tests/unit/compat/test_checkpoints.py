"""The best checkpoint is kept without Adam's states, the others with them."""

import errno
import os
import shutil
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq import checkpoint_utils, utils
from fairseq.file_io import PathManager

from laft_fairseq import compat
from laft_fairseq.compat import checkpoints as cc
from laft_fairseq.errors import LaftError
from tests.full_disk import full_disk

FLAGS = {"no_save": False, "no_last_checkpoints": False, "write_checkpoints_asynchronously": False}


def save(path: Path) -> None:
    torch.save({"model": {"w": torch.ones(3)}, cc.STATE: {"state": torch.ones(6)}}, path)


def keys(path: Path) -> set[str]:
    return set(torch.load(path, weights_only=True))


def trainer(**attributes: Any) -> Any:
    return Namespace(task=Namespace(stage="generation"), data_parallel_rank=0, **attributes)


def saved(folder: Path, given: Any, **flags: bool) -> None:
    """As fairseq saves: a numbered one, the best and the last."""

    def stock(cfg: Any, trainer: Any, *rest: Any) -> None:
        for name in ("checkpoint_1_2.pt", "checkpoint_best.pt", "checkpoint_last.pt"):
            save(folder / name)

    cc.save_checkpoint(
        stock, Namespace(save_dir=str(folder), **{**FLAGS, **flags}), given, None, 1.0
    )


def test_the_best_is_without_and_the_others_are_with(tmp_path: Path) -> None:
    saved(tmp_path, trainer())
    assert keys(tmp_path / "checkpoint_best.pt") == {"model"}
    assert keys(tmp_path / "checkpoint_last.pt") == {"model", cc.STATE}
    assert keys(tmp_path / "checkpoint_1_2.pt") == {"model", cc.STATE}
    assert len(os.listdir(tmp_path)) == 3


@pytest.mark.parametrize("flag", ["no_last_checkpoints", "write_checkpoints_asynchronously", None])
def test_without_a_last_one_or_of_another_task_the_best_keeps_them(
    tmp_path: Path, flag: str | None
) -> None:
    other = Namespace(task=Namespace(), data_parallel_rank=0)
    saved(tmp_path, trainer() if flag else other, **({flag: True} if flag else {}))
    assert keys(tmp_path / "checkpoint_best.pt") == {"model", cc.STATE}


def test_a_matrix_with_two_names_is_stored_once() -> None:
    """Half precision stands for the GPU here: fairseq makes a new tensor of either."""
    compat.apply()
    matrix, other = torch.randn(6, 4).to(torch.bfloat16), torch.randn(6, 4)
    state = {"model": {"in": matrix, "out": matrix, "row": matrix[0], "own": other}, "n": [3, ()]}
    moved = utils.move_to_cpu(state)
    model = moved["model"]
    assert model["in"].data_ptr() == model["out"].data_ptr()
    assert len({model[name].data_ptr() for name in ("in", "row", "own")}) == 3
    assert all(torch.equal(model[name], state["model"][name].float()) for name in model)
    assert moved["n"] == state["n"]


def test_empty_tensors_stay_themselves() -> None:
    compat.apply()
    moved = utils.move_to_cpu({"a": torch.zeros(0, 3), "b": torch.zeros(0, 2)})
    assert (moved["a"].shape, moved["b"].shape) == ((0, 3), (0, 2))


def test_a_checkpoint_is_never_seen_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written or copied: under another name first, whatever moment a kill chooses."""
    compat.apply()
    old, target = b"old", tmp_path / "checkpoint_last.pt"
    written: list[str] = []

    def half(self: Any, *args: Any) -> None:
        (name,) = set(os.listdir(tmp_path)) - {target.name, "checkpoint_1_2.pt"}
        written.append(name)
        assert target.read_bytes() == old
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    save(tmp_path / "checkpoint_1_2.pt")
    target.write_bytes(old)
    monkeypatch.setattr(shutil, "copyfile", lambda a, b: (Path(b).write_text("x"), half(a)))
    monkeypatch.setattr(torch, "save", half)
    for run in (
        lambda: PathManager.copy(str(tmp_path / "checkpoint_1_2.pt"), str(target), overwrite=True),
        lambda: checkpoint_utils.torch_persistent_save({}, str(target)),
    ):
        with pytest.raises(LaftError, match=rf"^{target}: cannot be written \(No space left"):
            run()
    assert len(written) == 2
    assert sorted(os.listdir(tmp_path)) == ["checkpoint_1_2.pt", target.name]
    assert target.read_bytes() == old


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """torch hides why a write failed."""
    compat.apply()
    with full_disk(20_000), pytest.raises(LaftError, match=r"c\.pt: cannot be written \(File too"):
        checkpoint_utils.torch_persistent_save(torch.ones(99_999), str(tmp_path / "c.pt"))
    assert not os.listdir(tmp_path)
