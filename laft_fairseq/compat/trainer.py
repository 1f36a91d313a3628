"""fairseq's trainer: what it silently loses when it resumes, and what it divides gradients by."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from laft_fairseq.checkpoints.resuming import LAST
from laft_fairseq.compat.patching import wrap
from laft_fairseq.errors import LaftError

logger = logging.getLogger(__name__)


def load_checkpoint(
    stock: Any,
    trainer: Any,
    filename: str,
    reset_optimizer: bool = False,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Load a checkpoint as fairseq does; warn where a run resumes without its optimizer state.

    Raises:
        LaftError: ``--store-ema``, which would average the checkpoints' headers too.
    """
    ours = hasattr(trainer.task, "stage")
    if ours and trainer.cfg.ema.store_ema:
        raise LaftError("--store-ema: the laft tasks keep no averages of the weights; leave it out")
    extra_state = stock(trainer, filename, reset_optimizer, *args, **kwargs)
    before = [entry.get("num_updates", 0) for entry in trainer._optim_history or []]
    if not ours or reset_optimizer or extra_state is None or trainer.data_parallel_rank:
        return extra_state
    if before and before[-1] and not trainer.get_num_updates():
        last = Path(filename).with_name(LAST)
        logger.warning(
            "%s: saved after %d updates, but without optimizer state, as best checkpoints are: "
            "Adam, the learning rate schedule and the count of updates start again; to resume, %s",
            filename, before[-1],
            "save without --no-save-optimizer-state" if str(last) == filename
            else f"restore {last}",
        )  # fmt: skip
    return extra_state


def train_step(stock: Any, trainer: Any, samples: list[Any], *args: Any, **kwargs: Any) -> Any:
    """Make an update as fairseq does, with the empty batches of a process before the others.

    Where processes share an epoch and ``--update-freq`` is above 1, its last update may have a
    batch and an empty one in some processes. fairseq gives an update no weight where its last batch
    is empty, so that it would keep the batch's gradient, but leave its tokens out of what the
    gradient is divided by. Empty batches are not dropped: a criterion with parameters reduces its
    gradients at every batch, so that all processes need as many.
    """
    if hasattr(trainer.task, "stage"):
        samples = sorted(samples, key=bool)
    return stock(trainer, samples, *args, **kwargs)


def apply() -> None:
    """Patch fairseq's trainer, once."""
    from fairseq.trainer import Trainer

    wrap(Trainer, load_checkpoint)
    wrap(Trainer, train_step)
