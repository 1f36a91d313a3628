"""Checkpoints without what nobody reads again.

fairseq copies Adam's states, twice what is trained, into every checkpoint. A run resumes from
``checkpoint_last.pt`` (numbered ones are kept for that too), so the best one is written without.
And it fetches a matrix from the GPU once for each of its names, so that mBART's embedding, which
has three, would be stored three times. What a criterion has learnt it saves, but fairseq-validate
does not read it.
"""

from __future__ import annotations

import functools
import inspect
import os
import pickle
import typing
from pathlib import Path
from typing import Any

import torch

from laft_fairseq.checkpoints.reading import ORIGIN_KEY, read_checkpoint, text_tensor
from laft_fairseq.errors import LaftError
from laft_fairseq.training import resuming

BEST = ("checkpoint_best*.pt", "checkpoint.best_*.pt")
STATE = "last_optimizer_state"


def without_optimizer_state(path: Path) -> None:
    """Write a checkpoint anew without it, whole or not at all."""
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if content.pop(STATE, None):
        part = path.with_name(f"{path.name}.part")
        torch.save(content, part)
        os.replace(part, path)


def save_checkpoint(stock: Any, cfg: Any, trainer: Any, *args: Any, **kwargs: Any) -> Any:
    """fairseq's, then the best checkpoint without optimizer state if the last one has it."""
    folder = Path(cfg.save_dir)
    before = {path: path.stat().st_mtime_ns for name in BEST for path in folder.glob(name)}
    result = stock(cfg, trainer, *args, **kwargs)
    ours = hasattr(trainer.task, "stage") and trainer.data_parallel_rank == 0
    if ours and not (
        cfg.no_save or cfg.no_last_checkpoints or cfg.write_checkpoints_asynchronously
    ):
        for path in (path for name in BEST for path in folder.glob(name)):
            if path.stat().st_mtime_ns != before.get(path):
                without_optimizer_state(path)
    return result


def load_checkpoint(stock: Any, cfg: Any, trainer: Any, **kwargs: Any) -> Any:
    """fairseq's, where the run that is there is the one that is asked for."""
    if hasattr(trainer.task, "stage"):
        resuming.check(cfg, trainer.task.cfg, trainer.task.tags)
    return stock(cfg, trainer, **kwargs)


def load_model_ensemble_and_task(stock: Any, filenames: Any, *args: Any, **kwargs: Any) -> Any:
    """fairseq's; a task of ours then knows the one file, for the criterion that it may build.

    Raises:
        LaftError: a checkpoint is not there.
    """
    given = inspect.signature(stock).bind(filenames, *args, **kwargs).arguments
    if not given.get("suffix") and given.get("num_shards", 1) == 1:
        for name in filenames:
            if not Path(name).exists():
                raise LaftError(f"{name}: no such checkpoint")
    models, cfg, task = stock(filenames, *args, **kwargs)
    if hasattr(task, "stage"):
        task.checkpoint = str(filenames[0]) if len(filenames) == 1 else ""
    return models, cfg, task


def move_to_cpu(stock: Any, sample: Any) -> Any:
    """fairseq's, but what is one tensor stays one."""
    from fairseq.utils import apply_to_sample

    moved: dict[Any, torch.Tensor] = {}

    def once(tensor: torch.Tensor) -> torch.Tensor:
        place = (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if not tensor.numel() or place not in moved:
            moved[place] = stock([tensor])[0]
        return moved[place]

    return apply_to_sample(once, sample)


def apply() -> None:
    """Patch fairseq, once."""
    from fairseq import checkpoint_utils, utils

    for module, own in (
        (checkpoint_utils, save_checkpoint),
        (checkpoint_utils, load_checkpoint),
        (checkpoint_utils, load_model_ensemble_and_task),
        (utils, move_to_cpu),
    ):
        stock = getattr(module, own.__name__)
        if not getattr(stock, "laft", False):
            patched: Any = functools.wraps(stock)(functools.partial(own, stock))
            patched.laft = True
            setattr(module, own.__name__, patched)
    remember_checkpoint_origin()


def remember_checkpoint_origin() -> None:
    """Let a slim checkpoint know its own path, and turn a broken file into one clear line."""
    from fairseq import checkpoint_utils

    stock = checkpoint_utils.load_checkpoint_to_cpu
    if getattr(stock, "laft", False):
        return

    @functools.wraps(stock)
    def load_checkpoint_to_cpu(
        path: str, *args: typing.Any, **kwargs: typing.Any
    ) -> dict[str, typing.Any]:
        try:
            state = stock(path, *args, **kwargs)
        except (pickle.UnpicklingError, RuntimeError, EOFError):
            read_checkpoint(path)  # says clearly what is wrong with the file
            raise
        except KeyError as error:
            raise LaftError(
                f"{path}: not a checkpoint of fairseq's training (no {error}); a bare backbone "
                "goes to --backbone"
            ) from None
        model = state.get("model")
        if isinstance(model, dict) and any(key.startswith("laft.") for key in model):
            model[ORIGIN_KEY] = text_tensor(str(path))
        return state

    load_checkpoint_to_cpu.laft = True  # type: ignore[attr-defined]
    checkpoint_utils.load_checkpoint_to_cpu = load_checkpoint_to_cpu
