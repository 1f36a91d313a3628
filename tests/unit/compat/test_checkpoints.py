"""The best checkpoint is kept without Adam's states, the others with them."""

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq import utils

from laft_fairseq.compat import checkpoints as cc

FLAGS = {"no_save": False, "no_last_checkpoints": False, "write_checkpoints_asynchronously": False}


def save(path: Path) -> None:
    torch.save({"model": {"w": torch.ones(3)}, cc.STATE: {"state": torch.ones(6)}}, path)


def keys(path: Path) -> set[str]:
    return set(torch.load(path, weights_only=True))


def trainer(**attributes: Any) -> Any:
    return Namespace(task=Namespace(stage="generation"), data_parallel_rank=0, **attributes)


def saved(folder: Path, own: Any, **flags: bool) -> None:
    """As fairseq saves: a numbered one, the best and the last."""

    def stock(cfg: Any, trainer: Any, *rest: Any) -> None:
        for name in ("checkpoint_1_2.pt", "checkpoint_best.pt", "checkpoint_last.pt"):
            save(folder / name)

    cc.save_checkpoint(stock, Namespace(save_dir=str(folder), **{**FLAGS, **flags}), own, None, 1.0)


def test_the_best_is_without_and_the_others_are_with(tmp_path: Path) -> None:
    saved(tmp_path, trainer())
    assert keys(tmp_path / "checkpoint_best.pt") == {"model"}
    assert keys(tmp_path / "checkpoint_last.pt") == {"model", cc.STATE}
    assert keys(tmp_path / "checkpoint_1_2.pt") == {"model", cc.STATE}
    assert len(os.listdir(tmp_path)) == 3


@pytest.mark.parametrize("flag", ["no_last_checkpoints", "write_checkpoints_asynchronously"])
def test_without_a_last_one_the_best_keeps_them(tmp_path: Path, flag: str) -> None:
    saved(tmp_path, trainer(), **{flag: True})
    assert keys(tmp_path / "checkpoint_best.pt") == {"model", cc.STATE}


def test_other_tasks_are_left_alone(tmp_path: Path) -> None:
    saved(tmp_path, Namespace(task=Namespace(), data_parallel_rank=0))
    assert keys(tmp_path / "checkpoint_best.pt") == {"model", cc.STATE}


def test_a_matrix_with_two_names_is_stored_once() -> None:
    """Half precision stands for the GPU here: fairseq makes a new tensor of either."""
    cc.apply()
    matrix, own = torch.randn(6, 4).to(torch.bfloat16), torch.randn(6, 4)
    state = {"model": {"in": matrix, "out": matrix, "row": matrix[0], "own": own}, "n": [3, ()]}
    moved = utils.move_to_cpu(state)
    model = moved["model"]
    assert model["in"].data_ptr() == model["out"].data_ptr()
    assert len({model[name].data_ptr() for name in ("in", "row", "own")}) == 3
    assert all(torch.equal(model[name], state["model"][name].float()) for name in model)
    assert moved["n"] == state["n"]


def test_empty_tensors_stay_themselves() -> None:
    cc.apply()
    moved = utils.move_to_cpu({"a": torch.zeros(0, 3), "b": torch.zeros(0, 2)})
    assert (moved["a"].shape, moved["b"].shape) == ((0, 3), (0, 2))
