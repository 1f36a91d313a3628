"""fairseq's trainer: what it silently loses when it resumes, and what it divides gradients by."""

import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from laft_fairseq.checkpoints.checks import is_finite
from laft_fairseq.checkpoints.resuming import LAST
from laft_fairseq.errors import LaftError, in_one_line

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
    if not hasattr(trainer.task, "stage"):
        return stock(trainer, samples, *args, **kwargs)
    try:
        return stock(trainer, sorted(samples, key=bool), *args, **kwargs)
    except (FloatingPointError, StopIteration) as error:  # of --fp16, and of looking into it
        reason = in_one_line(error) or in_one_line(error.__context__ or error)
        raise diverged(trainer, reason) from error


def _check_grad_norms(stock: Any, trainer: Any, grad_norm: Tensor) -> None:
    """Refuse to update weights by gradients that are no numbers, before fairseq looks into them.

    It would save a checkpoint of the crash, and then end in an error of its own.

    Raises:
        LaftError: names update, norm, rate and what to try.
    """
    ours = hasattr(trainer.task, "stage") and not trainer.cfg.common.amp  # which skips such batches
    if ours and not torch.isfinite(grad_norm).all():
        raise diverged(trainer, f"the gradient's norm is {float(grad_norm)}")
    stock(trainer, grad_norm)


def diverged(trainer: Any, reason: str) -> LaftError:
    """The error of a training that cannot go on."""
    return LaftError(
        f"update {trainer.get_num_updates() + 1}: {reason}, at the learning rate "
        f"{trainer.get_lr():.3g}: the training diverged, and this update was not made; try a "
        f"smaller --lr, more --warmup-updates or --clip-norm 1. {trainer.cfg.checkpoint.save_dir} "
        "keeps the checkpoints of before"
    )


def save_checkpoint(stock: Any, trainer: Any, filename: str, extra_state: Any) -> Any:
    """Save as fairseq does, but neither weights that are no numbers nor the state at a crash.

    Raises:
        LaftError: as :func:`diverged`.
    """
    if hasattr(trainer.task, "stage"):
        if Path(filename).name == "crash.pt":
            return None
        for name, parameter in trainer.get_model().named_parameters():
            if parameter.requires_grad and not is_finite(parameter.detach()):
                raise diverged(trainer, f"{name} has become infinite or no number")
    return stock(trainer, filename, extra_state)
