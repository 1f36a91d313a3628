"""Checkpoints without what nobody reads again.

fairseq copies Adam's states, twice what is trained, into every checkpoint. A run resumes from
``checkpoint_last.pt`` (numbered ones are kept for that too), so the best one is written without.
And it fetches a matrix from the GPU once for each of its names, so that mBART's embedding, which
has three, would be stored three times.
"""

from __future__ import annotations

import functools
import logging
import os
from pathlib import Path
from typing import Any

import torch

logger = logging.getLogger(__name__)

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


def load_checkpoint(stock: Any, cfg: Any, trainer: Any, *args: Any, **kwargs: Any) -> Any:
    """fairseq's, with a warning where a run goes on without the states that it had."""
    result = stock(cfg, trainer, *args, **kwargs)
    updates = trainer.get_num_updates()
    resumed = updates and hasattr(trainer.task, "stage") and not cfg.reset_optimizer
    if resumed and not trainer.optimizer.optimizer.state:
        logger.warning(
            "%s: holds no optimizer state, as a best checkpoint; after %d updates Adam begins "
            "anew. To go on as before, resume from checkpoint_last.pt",
            cfg.restore_file,
            updates,
        )
    return result


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
        (utils, move_to_cpu),
    ):
        stock = getattr(module, own.__name__)
        if not getattr(stock, "laft", False):
            patched: Any = functools.wraps(stock)(functools.partial(own, stock))
            patched.laft = True
            setattr(module, own.__name__, patched)
