"""fairseq's trainer: what it loses silently when it resumes, and what it divides a gradient by."""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError

logger = logging.getLogger(__name__)

LAST = "checkpoint_last.pt"


def load_checkpoint(
    stock: Any,
    trainer: Any,
    filename: str,
    reset_optimizer: bool = False,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """fairseq's, with a warning where a run goes on without the states that it had.

    Raises:
        LaftError: ``--store-ema``, whose averages fairseq would take of checkpoints' headers too.
    """
    ours = hasattr(trainer.task, "stage")
    if ours and trainer.cfg.ema.store_ema:
        raise LaftError(
            "--store-ema: averages of the weights are not kept by the laft tasks; leave it out"
        )
    extra_state = stock(trainer, filename, reset_optimizer, *args, **kwargs)
    before = [entry.get("num_updates", 0) for entry in trainer._optim_history or []]
    if not ours or reset_optimizer or extra_state is None or trainer.data_parallel_rank:
        return extra_state
    if before and before[-1] and not trainer.get_num_updates():
        last = Path(filename).with_name(LAST)
        logger.warning(
            "%s: written after %d updates, but holds no optimizer state, as a best checkpoint: "
            "Adam, the learning rate's schedule and the count of updates begin anew; to go on as "
            "before, %s",
            filename, before[-1],
            "save without --no-save-optimizer-state" if str(last) == filename
            else f"resume from {last}",
        )  # fmt: skip
    return extra_state


def train_step(stock: Any, trainer: Any, samples: list[Any], *args: Any, **kwargs: Any) -> Any:
    """fairseq's, with the empty batches that fill a process's last update up before the others.

    Where processes share an epoch and ``--update-freq`` is above 1, its last update may have a
    batch and an empty one in some processes. fairseq takes an update's weight for nothing where
    its last batch is empty, so it kept the batch's gradient, but left its tokens out of what the
    gradient is divided by. None is dropped: a criterion with parameters reduces its gradients at
    every batch, so all processes need as many. What an empty one counts is the task's business.
    """
    if hasattr(trainer.task, "stage"):
        samples = sorted(samples, key=bool)
    return stock(trainer, samples, *args, **kwargs)


def apply() -> None:
    """Patch fairseq, once."""
    from fairseq.trainer import Trainer

    def patch(own: Any) -> None:
        stock = getattr(Trainer, own.__name__)
        if getattr(stock, "laft", False):
            return

        @functools.wraps(stock)
        def patched(trainer: Any, *args: Any, **kwargs: Any) -> Any:
            return own(stock, trainer, *args, **kwargs)

        patched.laft = True  # type: ignore[attr-defined]
        setattr(Trainer, own.__name__, patched)

    for own in (load_checkpoint, train_step):
        patch(own)
